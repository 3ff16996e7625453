import exporting
from openinference.instrumentation.langchain import LangChainInstrumentor

LangChainInstrumentor().instrument(tracer_provider=exporting.provider())
import langgraph_app

langgraph_app.pause({})
