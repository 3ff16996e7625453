import exporting
from openai import OpenAI
from opentelemetry.instrumentation.openai import OpenAIInstrumentor

OpenAIInstrumentor().instrument(tracer_provider=exporting.provider())
exporting.openai_calls(OpenAI(max_retries=0))
OpenAI().embeddings.create(model="text-embedding-3-small", input=["one", "two"])
