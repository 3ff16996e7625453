import exporting
from openinference.instrumentation import using_attributes
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

OpenAIAgentsInstrumentor().instrument(tracer_provider=exporting.provider())
from agents import Agent, Runner, function_tool, set_default_openai_api

set_default_openai_api("chat_completions")


@function_tool
def weather(city: str) -> str:
    """The weather."""
    return "sunny"


with using_attributes(session_id=exporting.SESSION, user_id=exporting.USER):
    Runner.run_sync(Agent("capitals", instructions=exporting.SYSTEM, model=exporting.MODEL), exporting.QUESTION)
    Runner.run_sync(Agent("forecast", model=exporting.MODEL, tools=[weather]), exporting.WEATHER)
    exporting.fails(Runner.run_sync, Agent("broken", model="no-such"), exporting.QUESTION)
