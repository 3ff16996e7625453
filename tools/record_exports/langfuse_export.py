"""Write langfuse.jsonl with known content: `python langfuse_export.py` where langfuse 5.0 is installed.

The records are made and written by the package's own models of its API: observations (v2), scores and versions of prompts,
one a line, as its users export them; the last lines are a trace with its observations, as its API before gave it. The file is
tests/exchange/exports/langfuse-5.0.jsonl.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from langfuse.api.commons import CategoricalScore, NumericScore, ObservationV2
from langfuse.api.prompts import ChatMessage, Prompt_Chat, Prompt_Text

BEGUN = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
TRACE = "0123456789abcdef0123456789abcdef"
ABOUT = {
    "trace_id": TRACE, "project_id": "p-1", "environment": "production", "user_id": "u-1", "session_id": "s-1",
    "trace_name": "qa", "tags": ["hr"], "release": "7",
}  # fmt: skip


def observation(number: int, name: str, kind: str, **more: object) -> ObservationV2:
    start = BEGUN + timedelta(milliseconds=100 * number)
    return ObservationV2(
        id=f"{number + 1:016x}", type=kind, name=name, start_time=start, end_time=start + timedelta(milliseconds=50),
        parent_observation_id=f"{1:016x}" if number else None, is_root_observation=not number, **ABOUT, **more,
    )  # fmt: skip


def main() -> None:
    records = [
        observation(0, "qa", "CHAIN", input={"question": "How much notice?"}, output="Four weeks.", level="DEFAULT"),
        observation(1, "lookup", "TOOL", input={"name": "bad"}, level="ERROR", status_message="no such person"),
        observation(
            2, "llm", "GENERATION", model="gpt-4.1-mini", model_parameters={"temperature": 0.2},
            usage_details={"input": 30, "output": 5, "total": 35}, cost_details={"total": 0.002},
            input=[{"role": "user", "content": "How much notice?"}], output={"role": "assistant", "content": "Four weeks."},
            metadata={"team": "hr"}, prompt_name="answer", prompt_version=2,
        ),
    ]  # fmt: skip
    at = {"timestamp": BEGUN, "created_at": BEGUN, "updated_at": BEGUN, "environment": "production"}
    records += [
        NumericScore(id="sc-1", trace_id=TRACE, name="helpful", value=1.0, source="ANNOTATION", author_user_id="ana",
                     comment="right answer", **at),
        CategoricalScore(id="sc-2", trace_id=TRACE, observation_id=f"{3:016x}", name="tone", value=0.0,
                         string_value="formal", source="EVAL", **at),
    ]  # fmt: skip
    records += [
        Prompt_Text(name="answer", version=1, config={}, labels=["production"], tags=[], prompt="Answer: {{question}}",
                    commit_message="first"),
        Prompt_Chat(name="answer", version=2, config={"temperature": 0.2}, labels=["latest"], tags=["hr"], prompt=[
            ChatMessage(role="system", content="You are {{who}}."), ChatMessage(role="user", content="{{question}}"),
        ], commit_message="chat"),
    ]  # fmt: skip
    lines = [one.json(by_alias=True) for one in records]
    old = json.loads(observation(0, "old", "SPAN", input="before").json(by_alias=True))
    whole = {
        "id": "trace-of-before", "timestamp": BEGUN.isoformat(), "name": "old", "userId": "u-2", "tags": [],
        "observations": [{**old, "traceId": "trace-of-before"}],
        "scores": [{**json.loads(lines[3]), "id": "sc-3", "traceId": "trace-of-before"}],
    }  # fmt: skip
    Path("langfuse.jsonl").write_text("\n".join([*lines, json.dumps(whole)]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
