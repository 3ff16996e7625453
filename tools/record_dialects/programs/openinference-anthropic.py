import exporting
from anthropic import Anthropic
from openinference.instrumentation import using_attributes
from openinference.instrumentation.anthropic import AnthropicInstrumentor

AnthropicInstrumentor().instrument(tracer_provider=exporting.provider())
with using_attributes(session_id=exporting.SESSION, user_id=exporting.USER):
    exporting.anthropic_calls(Anthropic(max_retries=0))
