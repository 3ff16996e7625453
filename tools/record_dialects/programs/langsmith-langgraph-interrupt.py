import os

os.environ.update(
    LANGSMITH_OTEL_ENABLED="true",
    LANGSMITH_TRACING="true",
    LANGSMITH_OTEL_ONLY="true",
    LANGSMITH_API_KEY="none",
    LANGSMITH_PROJECT="shop",
)
os.environ["LANGSMITH_ENDPOINT"] = os.environ["STAND_IN"] + "/langsmith"
import exporting

provider = exporting.provider()
import langgraph_app

langgraph_app.pause({})
from langsmith import Client

Client().flush()
provider.force_flush()
