"""Fill an mlflow.db with known content, as its user would: `python mlflow_export.py` where mlflow 3.17 is installed.

The file, packed by xz, is tests/exchange/exports/mlflow-3.17.db.xz.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import contextlib

import mlflow
from mlflow.entities import AssessmentSource, Document, SpanType

mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.set_experiment("support")


@mlflow.trace(span_type=SpanType.RETRIEVER)
def find(question: str) -> list[Document]:
    return [Document(page_content="Notice is four weeks.", metadata={"doc_uri": "notice.md", "score": 0.9}, id="d1")]


@mlflow.trace(span_type=SpanType.CHAT_MODEL, attributes={"model": "gpt-4.1-mini"})
def llm(messages: list[dict[str, str]]) -> dict[str, object]:
    span = mlflow.get_current_active_span()
    span.set_attribute("mlflow.chat.tokenUsage", {"input_tokens": 30, "output_tokens": 5, "total_tokens": 35})
    span.set_attribute("mlflow.llm.model", "gpt-4.1-mini")
    span.set_attribute("mlflow.llm.provider", "openai")
    return {"choices": [{"message": {"role": "assistant", "content": "Four weeks."}}]}


@mlflow.trace(span_type=SpanType.TOOL)
def lookup(name: str) -> dict[str, int]:
    if name == "bad":
        raise ValueError("no such person")
    return {"tenure": 3}


@mlflow.trace(span_type=SpanType.CHAIN, name="qa")
def qa(question: str, who: str = "ana") -> str:
    mlflow.update_current_trace(
        metadata={"mlflow.trace.user": "u-1", "mlflow.trace.session": "s-1"}, tags={"release": "7"}
    )
    find(question)
    with contextlib.suppress(ValueError):
        lookup(who)
    llm([{"role": "user", "content": question}])
    return "Four weeks."


@mlflow.trace(name="broken")
def broken() -> None:
    raise RuntimeError("boom")


def main() -> None:
    ids: list[str] = []
    for number, who in enumerate(["ana", "bad", "eva"]):
        qa(f"How much notice? {number}", who)
        ids.append(mlflow.get_last_active_trace_id())
    with contextlib.suppress(RuntimeError):
        broken()
    mlflow.flush_trace_async_logging()
    ana = AssessmentSource(source_type="HUMAN", source_id="ana@x.org")
    mlflow.log_feedback(trace_id=ids[0], name="helpful", value=True, rationale="right answer", source=ana)
    judge = AssessmentSource(source_type="LLM_JUDGE", source_id="gpt-4o")
    mlflow.log_feedback(trace_id=ids[1], name="correct", value=0.5, source=judge)
    mlflow.log_expectation(trace_id=ids[0], name="expected_response", value="Four weeks.", source=ana)
    register = mlflow.genai.register_prompt
    register(name="answer", template="Answer: {{question}}", commit_message="first", tags={"team": "hr"})
    register(name="answer", template="Answer briefly: {{question}} {% x %}", commit_message="shorter")
    chat = [{"role": "system", "content": "You are {{who}}."}, {"role": "user", "content": "{{question}}"}]
    register(name="chat", template=chat, response_format={"type": "object", "properties": {"a": {"type": "string"}}})
    mlflow.genai.set_prompt_alias("answer", "production", 1)
    experiment = mlflow.get_experiment_by_name("support").experiment_id
    mlflow.genai.datasets.create_dataset(name="notice", experiment_id=[experiment]).merge_records(
        [
            {
                "inputs": {"question": "How much notice?"}, "expectations": {"expected_response": "Four weeks."},
                "tags": {"split": "test"},
            },
            {"inputs": {"question": "Holidays?"}, "expectations": {"expected_facts": ["thirty"]}},
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
