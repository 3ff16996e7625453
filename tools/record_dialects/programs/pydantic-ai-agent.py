import exporting

exporting.provider()
from pydantic_ai import Agent

Agent.instrument_all()
Agent(f"openai-chat:{exporting.MODEL}", instructions=exporting.SYSTEM).run_sync(exporting.QUESTION)
agent = Agent(f"openai-chat:{exporting.MODEL}", name="forecast")


@agent.tool_plain
def weather(city: str) -> str:
    """The weather."""
    return "sunny"


agent.run_sync(exporting.WEATHER)
exporting.fails(Agent("openai-chat:no-such").run_sync, exporting.QUESTION)
