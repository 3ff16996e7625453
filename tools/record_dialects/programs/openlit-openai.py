import exporting
import openlit
from openai import OpenAI

openlit.init(
    otlp_endpoint=exporting.URL,
    application_name="shop",
    environment="staging",
    disable_batch=True,
    disable_metrics=True,
)
with openlit.using_attributes({"session.id": exporting.SESSION, "user.id": exporting.USER}):
    exporting.openai_calls(OpenAI(max_retries=0))
OpenAI().embeddings.create(model="text-embedding-3-small", input=["one", "two"])
