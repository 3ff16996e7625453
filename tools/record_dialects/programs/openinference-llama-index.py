import exporting
from openinference.instrumentation import using_attributes
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

LlamaIndexInstrumentor().instrument(tracer_provider=exporting.provider())
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI


def weather(city: str) -> str:
    """The weather."""
    return "sunny"


def model(name: str = exporting.MODEL) -> OpenAI:
    return OpenAI(model=name, api_base=f"{exporting.URL}/v1", max_retries=0)


Settings.llm = model()
Settings.embed_model = OpenAIEmbedding(model="text-embedding-3-small", api_base=f"{exporting.URL}/v1")
said = [ChatMessage(role="system", content=exporting.SYSTEM), ChatMessage(role="user", content=exporting.QUESTION)]
with using_attributes(session_id=exporting.SESSION, user_id=exporting.USER):
    model().chat(said)
    for _ in model().stream_chat(said):
        pass
    model().predict_and_call([FunctionTool.from_defaults(weather)], exporting.WEATHER)
    VectorStoreIndex.from_documents([Document(text="Within 30 days.", doc_id="refunds.md")]).as_query_engine().query(
        "refund?"
    )
    exporting.fails(model("gpt-4").complete, exporting.QUESTION)
