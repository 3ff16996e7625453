import asyncio
import os

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
import exporting
from opentelemetry._logs import set_logger_provider

exporting.provider()
set_logger_provider(exporting.logs())
from google import genai
from google.adk.agents import LlmAgent
from google.adk.models.google_llm import Gemini
from google.adk.runners import InMemoryRunner
from google.genai import types


def weather(city: str) -> str:
    """The weather."""
    return "sunny"


async def ask(model, question, tools):
    llm = Gemini(model=model)
    llm.__dict__["api_client"] = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=exporting.URL))
    agent = LlmAgent(name="forecast", model=llm, instruction=exporting.SYSTEM, tools=tools)
    runner = InMemoryRunner(agent, app_name="shop")
    await runner.session_service.create_session(app_name="shop", user_id=exporting.USER, session_id=exporting.SESSION)
    said = types.Content(role="user", parts=[types.Part(text=question)])
    async for _ in runner.run_async(user_id=exporting.USER, session_id=exporting.SESSION, new_message=said):
        pass


async def main():
    await ask("gemini-2.5-flash", exporting.QUESTION, [])
    await ask("gemini-2.5-flash", exporting.WEATHER, [weather])
    try:
        await ask("no-such", exporting.QUESTION, [])
    except Exception:
        pass


asyncio.run(main())
