import { createRequire } from "node:module";
const need = createRequire(process.env.NODE_PROJECT + "/");
const { NodeSDK } = need("@opentelemetry/sdk-node");
const { OTLPTraceExporter } = need("@opentelemetry/exporter-trace-otlp-proto");
const { generateText, streamText, embedMany, tool, stepCountIs } = need("ai");
const { createOpenAI } = need("@ai-sdk/openai");
const { z } = need("zod");

const sdk = new NodeSDK({ traceExporter: new OTLPTraceExporter() });
sdk.start();
const openai = createOpenAI({ baseURL: process.env.STAND_IN + "/v1", apiKey: "none" });
const experimental_telemetry = {
  isEnabled: true, functionId: "answer", metadata: { sessionId: "session-1", userId: "user-1" },
};
const model = openai.chat("gpt-4o-mini");
const asked = { model, system: "Be brief.", prompt: "Capital of France?", experimental_telemetry, maxRetries: 0 };
await generateText(asked);
for await (const _ of streamText(asked).textStream);
const weather = tool({
  description: "The weather.", inputSchema: z.object({ city: z.string() }), execute: async () => "sunny",
});
await generateText({
  model, prompt: "How is the weather in Paris?", tools: { weather }, stopWhen: stepCountIs(3), experimental_telemetry,
});
await embedMany({ model: openai.embedding("text-embedding-3-small"), values: ["one", "two"], experimental_telemetry });
try {
  await generateText({ ...asked, model: openai.chat("no-such") });
} catch {}
await sdk.shutdown();
