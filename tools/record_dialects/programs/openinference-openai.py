import exporting
from openai import OpenAI
from openinference.instrumentation import using_attributes
from openinference.instrumentation.openai import OpenAIInstrumentor

OpenAIInstrumentor().instrument(tracer_provider=exporting.provider())
with using_attributes(
    session_id=exporting.SESSION,
    user_id=exporting.USER,
    prompt_template="Capital of {country}?",
    prompt_template_version="3",
    prompt_template_variables={"country": "France"},
):
    exporting.openai_calls(OpenAI(max_retries=0))
OpenAI().embeddings.create(model="text-embedding-3-small", input=["one", "two"])
