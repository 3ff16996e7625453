// The child process that calls JavaScript of a promptfoo file.
// A line of JSON in, {file, code, names, arguments}; a line out, {value} or {error}.
"use strict";
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const { pathToFileURL } = require("url");

const out = fs.createWriteStream(null, { fd: 1 });
const note = (...words) => process.stderr.write(words.map(String).join(" ") + "\n");
console.log = console.info = console.debug = note; // what the functions print is no answer

const made = new Map();

async function load(file) {
  if (!made.has(file)) {
    let found;
    try {
      found = require(file);
    } catch (problem) {
      if (problem.code !== "ERR_REQUIRE_ESM" && !/import statement|Unexpected token 'export'/.test(problem.message)) throw problem;
      found = await import(pathToFileURL(file).href);
    }
    made.set(file, found);
  }
  return made.get(file);
}

async function ofFile(file, name) {
  const found = await load(file);
  const inner = found.default && found.default.default ? found.default.default : found.default;
  const value = name ? found[name] || (inner && inner[name]) : typeof found === "function" ? found : inner;
  if (typeof value !== "function") throw new Error(`${path.basename(file)} has no function ${name || "(its default export)"}`);
  return value;
}

// What a line says is what it gives back: `const n = output.length; n > 3` gives back its last part.
function body(code) {
  const text = code.trimEnd();
  if (text.includes("\n")) return text;
  const line = text.trim().replace(/;+\s*$/, "");
  if (!/^(const|let|var)\s/.test(line)) return `return ${line}`;
  for (let i = line.lastIndexOf(";"); i > 0; i = line.lastIndexOf(";", i - 1)) {
    const tried = `${line.slice(0, i + 1)} return ${line.slice(i + 1).trim()}`;
    try {
      new Function(tried);
      return tried;
    } catch {
      continue; // a semicolon within a text or a block
    }
  }
  return line;
}

function ofCode(code, names) {
  const text = code.trim();
  if (/^(async\s+)?(\([^)]*\)|[A-Za-z_$][\w$]*)\s*=>/.test(text) || /^(async\s+)?function\b/.test(text)) {
    return new Function(...names, `return (${text.replace(/;+\s*$/, "")})(${names.join(", ")})`);
  }
  return new Function(...names, body(code));
}

async function answer(asked) {
  const found = asked.file ? await ofFile(asked.file, asked.names[0]) : ofCode(asked.code, asked.names);
  if (asked.file && found.prototype && typeof found.prototype.callApi === "function") {
    const [prompt, options, context] = asked.arguments;
    return await new found(options).callApi(prompt, context, options);
  }
  return await found(...asked.arguments);
}

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  let said;
  try {
    const value = await answer(JSON.parse(line));
    if (typeof value === "number" && !Number.isFinite(value)) throw new Error(`${value} is no number`);
    said = JSON.stringify({ value: value === undefined ? null : value });
  } catch (problem) {
    said = JSON.stringify({ error: `${problem && problem.name ? problem.name + ": " : ""}${problem && problem.message ? problem.message : problem}` });
  }
  out.write(said + "\n");
});
