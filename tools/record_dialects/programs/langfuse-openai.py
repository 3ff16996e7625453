import os

os.environ.update(LANGFUSE_PUBLIC_KEY="none", LANGFUSE_SECRET_KEY="none", LANGFUSE_BASE_URL=os.environ["STAND_IN"])
os.environ.update(LANGFUSE_TRACING_ENVIRONMENT="staging", LANGFUSE_RELEASE="1.4.2")
import exporting
from langfuse import get_client, observe, propagate_attributes
from langfuse.openai import OpenAI


@observe(as_type="tool")
def weather(city):
    return "sunny"


@observe(as_type="retriever")
def search(query):
    return [{"id": "refunds.md", "content": "Within 30 days.", "score": 0.9}]


@observe(as_type="agent")
def answer(question):
    with propagate_attributes(session_id=exporting.SESSION, user_id=exporting.USER):
        search(question)
        weather("Paris")
        exporting.openai_calls(OpenAI(max_retries=0))
        OpenAI().embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    return "Paris."


answer(exporting.QUESTION)
get_client().flush()
