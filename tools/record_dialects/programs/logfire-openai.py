import exporting
import logfire
from openai import OpenAI

logfire.configure(
    send_to_logfire=False, console=False, service_name="shop", environment="staging", service_version="1.4.2"
)
logfire.instrument_openai()
with logfire.set_baggage(session_id=exporting.SESSION, user_id=exporting.USER), logfire.span("answer"):
    exporting.openai_calls(OpenAI(max_retries=0))
OpenAI().embeddings.create(model="text-embedding-3-small", input=["one", "two"])
logfire.force_flush()
