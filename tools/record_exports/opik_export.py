"""Write a folder `opik` with known content: `python opik_export.py` where opik 2.2 is installed.

What the service would answer is made of the package's own models of its API; the files are written by the package's own export,
a trace with its spans, a dataset, a prompt with its history. The folder is tests/exchange/exports/opik-2.2.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from opik.cli.exports import dataset as datasets
from opik.cli.exports import prompt as prompts
from opik.cli.exports.utils import write_json_data, write_project_metadata
from opik.rest_api.types.comment_public import CommentPublic
from opik.rest_api.types.error_info_public import ErrorInfoPublic
from opik.rest_api.types.feedback_score_public import FeedbackScorePublic
from opik.rest_api.types.span_public import SpanPublic
from opik.rest_api.types.trace_public import TracePublic
from opik.rest_api.types.value_entry_public import ValueEntryPublic

BEGUN = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TRACE = "01939f00-1111-7000-8000-000000000001"
ROOT = Path("opik/default/projects/01939f00-9999-7000-8000-000000000001")
OF_SERVICE = {"created_at": BEGUN, "created_by": "ana", "last_updated_at": BEGUN, "last_updated_by": "ana"}


def span(number: int, name: str, kind: str, **more: object) -> SpanPublic:
    start = BEGUN + timedelta(milliseconds=100 * number)
    return SpanPublic(
        id=f"01939f00-2222-7000-8000-{number:012x}", trace_id=TRACE, project_id=ROOT.name, name=name, type=kind,
        parent_span_id=f"01939f00-2222-7000-8000-{1:012x}" if number > 1 else None, start_time=start,
        end_time=start + timedelta(milliseconds=50), duration=50.0, source="sdk", **OF_SERVICE, **more,
    )  # fmt: skip


def a_trace() -> dict[str, object]:
    scores = [
        FeedbackScorePublic(
            name="helpful", value=0.5, source="ui", **OF_SERVICE,
            value_by_author={
                "ana": ValueEntryPublic(value=1.0, reason="right answer", source="ui", last_updated_at=BEGUN),
                "eva": ValueEntryPublic(value=0.0, source="ui", last_updated_at=BEGUN),
            },
        )
    ]  # fmt: skip
    trace = TracePublic(
        id=TRACE, project_id=ROOT.name, name="qa", start_time=BEGUN, end_time=BEGUN + timedelta(seconds=1),
        input={"question": "How much notice?"}, output={"output": "Four weeks."}, tags=["hr"], metadata={"release": "7"},
        usage={"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35}, thread_id="s-1", environment="production",
        feedback_scores=scores, comments=[CommentPublic(id="c-1", text="Nice.", **OF_SERVICE)], total_estimated_cost=0.002,
        span_count=4, llm_span_count=1, duration=1000.0, **OF_SERVICE,
    )  # fmt: skip
    spans = [
        span(1, "answer", "general", input={"question": "How much notice?"}, output={"output": "Four weeks."}),
        span(2, "lookup", "tool", input={"name": "bad"}, error_info=ErrorInfoPublic(
            exception_type="ValueError", message="no such person", traceback="Traceback ...\nValueError: no such person",
        )),
        span(3, "llm", "llm", model="gpt-4.1-mini", provider="openai", total_estimated_cost=0.002, ttft=12.5,
            input={"messages": [{"role": "user", "content": "How much notice?"}]},
            output={"choices": [{"index": 0, "message": {"role": "assistant", "content": "Four weeks."}}]},
            usage={"prompt_tokens": 30, "completion_tokens": 5, "total_tokens": 35,
                "original_usage.prompt_tokens_details.cached_tokens": 10},
            feedback_scores=[FeedbackScorePublic(
                name="tone", category_name="formal", value=1.0, source="online_scoring", **OF_SERVICE)],
        ),
        span(4, "screen", "guardrail", input="x", output="pass"),
    ]  # fmt: skip
    return {
        "trace": trace.model_dump(), "spans": [one.model_dump() for one in spans], "downloaded_at": BEGUN.isoformat(),
        "project_name": "support",
    }  # fmt: skip


def a_dataset() -> SimpleNamespace:
    rows = [
        {"id": "d-1", "input": {"question": "How much notice?"}, "expected_output": "Four weeks."},
        {"id": "d-2", "input": {"question": "Holidays?"}, "expected_output": "Thirty."},
    ]
    return SimpleNamespace(
        id="01939f00-3333-7000-8000-000000000001", name="notice", description="", get_items=lambda: rows, get_tags=lambda: None,
    )  # fmt: skip


def prompt_files() -> None:
    """In the shape that the export gives a version; its classes of prompts are only made by a service."""

    def version(commit: str, body: object, *, tags: list[str] | None = None) -> dict[str, object]:
        structure = "text" if isinstance(body, str) else "chat"
        return {"prompt": body, "metadata": None, "type": "MUSTACHE", "commit": commit, "template_structure": structure,
                "tags": tags}  # fmt: skip

    chat = [{"role": "system", "content": "You are {{who}}."}, {"role": "user", "content": "{{question}}"}]
    newest = version("bbbb", "Answer briefly: {{question}} {% x %}", tags=["hr"])
    for name, versions in (
        ("answer", [newest, version("aaaa", "Answer: {{question}}")]), ("chat", [version("cccc", chat)]),
    ):  # fmt: skip
        prompts._write_prompt_export_file(
            {"id": f"p-{name}", "name": name, "current_version": versions[0], "history": versions,
             "downloaded_at": BEGUN.isoformat()},
            ROOT / "prompts" / f"prompt_p-{name}.json", "json",
        )  # fmt: skip


def main() -> None:
    for folder in ("datasets", "prompts", "traces"):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
    write_project_metadata(ROOT, ROOT.name, "support")
    write_json_data(a_trace(), ROOT / "traces" / f"trace_{TRACE}.json")
    datasets.export_single_dataset(a_dataset(), ROOT / "datasets", None, True, False, "json")
    prompt_files()


if __name__ == "__main__":
    main()
