import os

os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = os.environ["STAND_IN"] + "/v1/traces"
os.environ["MLFLOW_EXPERIMENT_ID"] = "0"
import exporting
import mlflow
from mlflow.entities import Document
from openai import OpenAI

mlflow.openai.autolog()


@mlflow.trace(span_type="TOOL")
def weather(city):
    return "sunny"


@mlflow.trace(span_type="RETRIEVER")
def search(query):
    return [Document(page_content="Within 30 days.", metadata={"doc_uri": "refunds.md", "score": 0.9})]


@mlflow.trace(span_type="AGENT")
def answer(question):
    mlflow.update_current_trace(
        metadata={"mlflow.trace.session": exporting.SESSION, "mlflow.trace.user": exporting.USER}
    )
    search(question)
    weather("Paris")
    exporting.openai_calls(OpenAI(max_retries=0))
    return "Paris."


answer(exporting.QUESTION)
OpenAI().embeddings.create(model="text-embedding-3-small", input=["one", "two"])
mlflow.flush_trace_async_logging()
