import os

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
import exporting
from openai import OpenAI
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor

OpenAIInstrumentor().instrument(tracer_provider=exporting.provider())
exporting.openai_calls(OpenAI(max_retries=0))
OpenAI().embeddings.create(model="text-embedding-3-small", input=["one", "two"])
