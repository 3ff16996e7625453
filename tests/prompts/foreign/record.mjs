// What Google's own package makes of the .prompt files here: npm install dotprompt, then node record.mjs > dotprompt.json
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
const { Dotprompt } = createRequire(process.cwd() + '/')('dotprompt');
const here = new URL('.', import.meta.url).pathname;
const cases = JSON.parse(readFileSync(here + 'inputs.json', 'utf8'));
const recorded = {};
for (const [file, inputs] of Object.entries(cases).filter(([file]) => file.endsWith('.prompt'))) {
  const prompts = new Dotprompt();
  const source = readFileSync(here + file, 'utf8');
  const meta = await prompts.renderMetadata(source);
  const runs = [];
  for (const input of inputs) {
    const given = { ...(meta.input?.default ?? {}), ...input };
    const { messages } = await prompts.render(source, { input: given });
    runs.push(messages.map((one) => [one.role, one.content.map((part) => part.text).join('').trim()]));
  }
  recorded[file] = { input: meta.input?.schema, output: meta.output?.schema, messages: runs };
}
console.log(JSON.stringify(recorded, null, 1));
