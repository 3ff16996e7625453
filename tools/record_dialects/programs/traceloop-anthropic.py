import exporting
from anthropic import Anthropic
from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

AnthropicInstrumentor().instrument(tracer_provider=exporting.provider())
exporting.anthropic_calls(Anthropic(max_retries=0))
