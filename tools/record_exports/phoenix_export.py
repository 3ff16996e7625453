"""Fill a phoenix.db with known content, as its user would: `python phoenix_export.py http://localhost:6006`.

Where arize-phoenix 20.26 is installed and `phoenix serve` runs with an empty PHOENIX_WORKING_DIR. The file without its
users, after `VACUUM INTO` and packed by xz, is tests/exchange/exports/phoenix-20.26.db.xz.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import contextlib
import sys

from openinference.instrumentation import using_attributes
from opentelemetry.trace import Status, StatusCode
from phoenix.client import Client
from phoenix.client.types import PromptVersion
from phoenix.otel import register

URL = sys.argv[1]


def traces() -> list[tuple[str, str, str]]:
    """The ids of each trace, of its first span, and of its retrieval."""
    provider = register(
        endpoint=f"{URL}/v1/traces", project_name="support", batch=False, set_global_tracer_provider=False
    )
    tracer = provider.get_tracer("handbook")
    ids: list[tuple[str, str, str]] = []
    for number in range(3):
        with (
            using_attributes(session_id="s-1", user_id="u-1", tags=["hr"], metadata={"release": 7}),
            tracer.start_as_current_span("qa", openinference_span_kind="chain") as root,
        ):
            root.set_input({"question": f"How much notice? {number}"})
            with tracer.start_as_current_span("find", openinference_span_kind="retriever") as found:
                found.set_input("notice")
                found.set_attribute("retrieval.documents.0.document.id", "d1")
                found.set_attribute("retrieval.documents.0.document.content", "Notice is four weeks.")
                found.set_attribute("retrieval.documents.0.document.score", 0.9)
            with (
                contextlib.suppress(ValueError),
                # no stack trace, which names the folders of a machine
                tracer.start_as_current_span("lookup", openinference_span_kind="tool", record_exception=False) as tool,
            ):
                tool.set_tool(name="lookup", description="Who someone is", parameters={"type": "object"})
                if number == 1:
                    tool.add_event("exception", {"exception.type": "ValueError", "exception.message": "no such person"})
                    raise ValueError("no such person")
            with tracer.start_as_current_span("llm", openinference_span_kind="llm") as llm:
                for key, value in {
                    "llm.model_name": "gpt-4.1-mini", "llm.provider": "openai",
                    "llm.invocation_parameters": '{"temperature": 0.2}',
                    "llm.token_count.prompt": 30, "llm.token_count.completion": 5, "llm.token_count.total": 35,
                    "llm.input_messages.0.message.role": "user",
                    "llm.input_messages.0.message.content": f"How much notice? {number}",
                    "llm.output_messages.0.message.role": "assistant",
                    "llm.output_messages.0.message.content": "Four weeks.",
                }.items():  # fmt: skip
                    llm.set_attribute(key, value)
            root.set_output("Four weeks.")
            root.set_status(Status(StatusCode.OK))
            context = root.get_span_context()
            ids.append((
                f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{found.get_span_context().span_id:016x}",
            ))  # fmt: skip
    provider.shutdown()
    return ids


def main() -> None:
    client = Client(base_url=URL)
    ids = traces()
    spans: list[object] = []
    while len(spans) < 12:  # the server keeps them a moment later
        spans = client.spans.get_spans(project_identifier="support", limit=100)
    note = client.spans.add_span_annotation
    note(span_id=ids[0][1], annotation_name="helpful", annotator_kind="HUMAN", label="yes", score=1.0,
         explanation="right answer", sync=True)  # fmt: skip
    note(span_id=ids[1][1], annotation_name="correct", annotator_kind="LLM", score=0.5, metadata={"model": "gpt-4o"},
         sync=True)  # fmt: skip
    note(span_id=ids[2][1], annotation_name="tone", annotator_kind="CODE", label="formal", sync=True)
    client.traces.add_trace_annotation(
        trace_id=ids[0][0], annotation_name="resolved", annotator_kind="HUMAN", score=1.0, sync=True
    )
    client.spans.add_document_annotation(
        span_id=ids[0][2], document_position=0, annotation_name="relevance", annotator_kind="LLM", score=0.8, sync=True
    )
    made = client.datasets.create_dataset(
        name="notice",
        inputs=[{"question": "How much notice?"}, {"question": "Holidays?"}],
        outputs=[{"answer": "Four weeks."}, {"answer": "Thirty days.", "source": "holidays.md"}],
        metadata=[{"topic": "notice"}, {}],
    )
    client.datasets.add_examples_to_dataset(
        dataset=made, inputs=[{"question": "Sick leave?"}], outputs=[{}], metadata=[{}]
    )
    user = [{"role": "user", "content": "Answer: {{question}}"}]
    first = client.prompts.create(
        name="answer", prompt_description="answers of support",
        version=PromptVersion(user, model_name="gpt-4.1-mini", description="first"),
    )  # fmt: skip
    client.prompts.tags.create(prompt_version_id=first.id, name="production")
    tool = {
        "type": "function",
        "function": {"name": "lookup", "description": "Who", "parameters": {"type": "object", "properties": {}}},
    }
    shape = {"type": "object", "properties": {"a": {"type": "string"}}}
    client.prompts.create(
        name="answer",
        version=PromptVersion.from_openai(
            {
                "model": "gpt-4.1-mini", "temperature": 0.2,
                "messages": [
                    {"role": "system", "content": "You are {who}. {{braces}}"},
                    {"role": "user", "content": "Briefly: {question}"},
                ],
                "tools": [tool],
                "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": shape}},
            },
            template_format="F_STRING", description="shorter",
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
