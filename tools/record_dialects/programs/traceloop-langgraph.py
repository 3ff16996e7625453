import exporting
from opentelemetry.instrumentation.langchain import LangchainInstrumentor

LangchainInstrumentor().instrument(tracer_provider=exporting.provider())
import langgraph_app

langgraph_app.run({})
langgraph_app.pause({})
