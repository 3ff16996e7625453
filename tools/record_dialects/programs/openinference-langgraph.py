import exporting
from openinference.instrumentation import using_attributes
from openinference.instrumentation.langchain import LangChainInstrumentor

LangChainInstrumentor().instrument(tracer_provider=exporting.provider())
import langgraph_app

with using_attributes(session_id=exporting.SESSION, user_id=exporting.USER):
    langgraph_app.run({})
