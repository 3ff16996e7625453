import exporting

exporting.provider()
from strands import Agent, tool
from strands.models.openai import OpenAIModel


@tool
def weather(city: str) -> str:
    """The weather."""
    return "sunny"


def agent(model, **more):
    given = {"api_key": "none", "base_url": f"{exporting.URL}/v1", "max_retries": 0}
    return Agent(
        OpenAIModel(client_args=given, model_id=model),
        system_prompt=exporting.SYSTEM,
        callback_handler=None,
        name="forecast",
        trace_attributes={"session.id": exporting.SESSION, "user.id": exporting.USER},
        **more,
    )


agent(exporting.MODEL)(exporting.QUESTION)
agent(exporting.MODEL, tools=[weather])(exporting.WEATHER)
exporting.fails(agent("no-such"), exporting.QUESTION)
