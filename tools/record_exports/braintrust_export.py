"""Write braintrust.jsonl with known content: `python braintrust_export.py` where braintrust 0.48 is installed.

The SDK logs into its own memory instead of to the service, and merges what belongs to one event, as the service does; its
events are written one a line, with the fields that the service adds. The file is
tests/exchange/exports/braintrust-0.48.jsonl.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import braintrust
from braintrust import logger as sdk
from braintrust.test_helpers import simulate_login

CREATED = "2026-11-02T09:00:00.000Z"


def run(log: braintrust.Logger) -> None:
    with log.start_span(name="qa", type="task") as root:
        root.log(input={"question": "How much notice?"}, metadata={"user_id": "u-1", "session_id": "s-1"}, tags=["hr"])
        with contextlib.suppress(ValueError), root.start_span(name="lookup", type="tool") as tool:
            tool.log(input={"name": "bad"})
            raise ValueError("no such person")
        with root.start_span(name="llm", type="llm") as llm:
            llm.log(
                input=[{"role": "user", "content": "How much notice?"}],
                output=[{"index": 0, "message": {"role": "assistant", "content": "Four weeks."}}],
                metadata={"model": "gpt-4.1-mini", "provider": "openai", "temperature": 0.2},
                metrics={"prompt_tokens": 30, "completion_tokens": 5, "tokens": 35, "prompt_cached_tokens": 10},
            )
        with root.start_span(name="helpful", type="score", span_attributes={"purpose": "scorer"}) as scorer:
            scorer.log(output={"score": 1}, scores={"helpful": 1})
        root.log(output="Four weeks.", expected="Four weeks.", scores={"helpful": 1, "tone": None})


def main() -> None:
    simulate_login()
    with sdk._internal_with_memory_background_logger() as memory:
        log = braintrust.init_logger(project="support", project_id="p-1")
        run(log)
        events = memory.pop()
        dataset = braintrust.init_dataset(project="support", name="notice")
        dataset._lazy_metadata = sdk.LazyValue(
            lambda: sdk.ProjectDatasetMetadata(
                project=sdk.ObjectMetadata("p-1", "support", {}), dataset=sdk.ObjectMetadata("d-1", "notice", {})
            ),
            use_mutex=False,
        )
        dataset.insert(id="a", input={"question": "How much notice?"}, expected="Four weeks.", tags=["test"])
        dataset.insert(id="b", input={"question": "Holidays?"}, expected="Thirty.", metadata={"by": "ana"})
        rows = memory.pop()
    for one in [*events, *rows]:
        one.update({"created": one.get("created") or CREATED, "_xact_id": "1000", "project_id": "p-1"})
    prompt = {"id": "pr-1", "project_id": "p-1", "org_id": "o-1", "log_id": "p", "name": "Answer", "slug": "answer"}
    chat = [{"role": "system", "content": "You are {{who}}."}, {"role": "user", "content": "{{question}}"}]
    versions = [
        {**prompt, "_xact_id": "1", "created": CREATED, "description": "first", "prompt_data": {
            "prompt": {"type": "completion", "content": "Answer: {{question}}"},
        }},
        {**prompt, "_xact_id": "2", "created": "2026-11-03T09:00:00Z", "description": "chat", "tags": ["hr"], "prompt_data": {
            "prompt": {"type": "chat", "messages": chat}, "options": {"model": "gpt-4.1-mini", "params": {"temperature": 0}},
        }},
    ]  # fmt: skip
    Path("braintrust").mkdir(exist_ok=True)
    for name, lines in (("logs", events), ("notice", rows)):
        text = "".join(json.dumps(one, default=str) + "\n" for one in lines).replace(str(Path(__file__).parent), "/app")
        Path("braintrust", f"{name}.jsonl").write_text(text, encoding="utf-8")
    Path("braintrust", "prompts.json").write_text(
        json.dumps({"objects": versions[::-1]}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
