"""Write docs/reference/dialects.md from the maps in src/afere/tracing/dialects/maps and what is recorded in tests/otlp/recorded.

Run after a change of a map, or a new recording:

.venv/bin/python tools/make_dialects.py

A test (tests/otlp/test_dialects_page.py) fails while the page is older than the maps.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from afere.tracing.dialects import MAPS, Dialect
from afere.tracing.dialects.maps import FIELDS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "dialects.md"
TESTS = ROOT / "tests" / "otlp"
HEAD = """# Dialects

What afere reads from the spans of other libraries, and where. This page is written from the maps that the reader follows ([how to send](../guides/otlp.md)).
The attributes themselves stay as they came; a field is filled by the first dialect below that knows it.

`a.*` is `a.0.x`, `a.1.x` and so on; `a > b.c` is a place inside the JSON of an attribute; `a + b` is their sum.
Messages in span events and log records are read for every dialect: `gen_ai.system.message`, `gen_ai.user.message`, `gen_ai.assistant.message`, `gen_ai.tool.message`,
`gen_ai.choice`, `gen_ai.client.inference.operation.details`. What another afere sends says its fields itself, where the conventions have no word
for them (`afere.kind`, `afere.input`, `afere.cost`, `afere.artifacts`, ...), and goes before all others. A cost that nobody says is taken from the table of prices.

## What real libraries send, and what of it is read

Each program asks the same things; what it sent is kept beside the tests, and this table is made by reading it. **yes**: read as the program said it. **-**: the library does not send it, or the program has no such thing. **no**: sent and not read.

"""
MAPS_HEAD = """
The tokens of a trace count each call once, also where an outer span repeats the sums of its calls. What these libraries get wrong themselves:

- Traceloop counts 18 tokens of a streamed answer of 17 of Anthropic's, and says no reasoning tokens of streams.
- The anthropic SDK (2.12 and later) makes spans of its own once the program has a global tracer provider. Inside OpenInference's or genai-anthropic's span they are counted once; beside Traceloop's they are a
  trace of their own. `ANTHROPIC_OPEN_TELEMETRY=false` turns them off.
- Logfire's span of a streamed call ends before the stream: its answer and tokens are in a second span beside it, and both are shown.
- genai-langchain (1.3b0) says nothing of a LangGraph interrupt: such a run looks done. OpenInference, Traceloop and LangSmith say it, and the step, with what it is part of, is *paused*.
- A cost of 0 is taken for unknown, and the table of prices is asked: OpenLIT writes it when it cannot fetch its own.

## The maps

"""
# heading of the overview -> the fields that count for it
GROUPS: dict[str, tuple[str, ...]] = {
    "model": ("model", "response_model"),
    "provider": ("provider",),
    "messages": ("input_messages", "output_messages", "output_text"),
    "input, output": ("input", "output"),
    "tools": ("tool_name", "tool_arguments", "tool_result"),
    "documents": ("documents",),
    "tokens": ("input_tokens", "output_tokens"),
    "cached": ("cached_input_tokens",),
    "reasoning": ("reasoning_tokens",),
    "cost": ("cost",),
    "finish": ("finish_reason",),
    "session": ("session",),
    "user": ("user",),
    "prompt": ("prompt_name", "prompt_version"),
}


def page() -> str:
    """The page as it should be."""
    rows = [f"| dialect | kind | {' | '.join(GROUPS)} |", f"|{'---|' * (len(GROUPS) + 2)}"]
    for dialect in MAPS:
        marks = ["yes" if any(field in dialect.rules for field in fields) else "" for fields in GROUPS.values()]
        kind = "yes" if dialect.kinds or dialect.named else ""
        rows.append(f"| [{dialect.title}](#{_anchor(dialect.title)}) | {kind} | {' | '.join(marks)} |")
    legend = "An empty place: the dialect has no word of its own for it; most then use those of OpenTelemetry GenAI, which are read too.\n"
    return HEAD + _measured() + MAPS_HEAD + "\n".join(rows) + "\n\n" + legend + "".join(map(_section, MAPS))


def _measured() -> str:
    """The facts of each recorded program, as they are read."""
    sys.path.insert(0, str(TESTS))
    import recordings
    import test_dialects_recorded

    made_by = dict(
        re.findall(r"^\| `([a-z-]+)`[^|]*\| (.+) \|$", (TESTS / "recorded" / "README.md").read_text(), re.MULTILINE)
    )
    facts = [fact.name for fact in recordings.FACTS]
    rows = [f"| recorded | {' | '.join(facts)} |", f"|{'---|' * (len(facts) + 1)}"]
    notes: list[str] = []
    for name in recordings.names():
        if name not in made_by:
            continue
        answers = recordings.table(name)
        for fact, why in test_dialects_recorded.KNOWN.get(name, {}).items():
            notes.append(f"- {name}, {fact}: {why}.")
        rows.append(f"| {name} | {' | '.join(answers[fact] for fact in facts)} |")
    sources = [f"- {name}: {source}" for name, source in made_by.items()]
    return "\n".join([*rows, "", *notes, "", *sources, ""])


def _section(dialect: Dialect) -> str:
    lines = ["", f"## {dialect.title}", "", f"Seen: {dialect.seen}.", "", "| field | read from |", "|---|---|"]
    for name, kinds in dialect.kinds.items():
        lines.append(f"| kind | `{name}`: {', '.join(f'{value} = {kind}' for value, kind in kinds.items())} |")
    if dialect.named:
        lines.append(
            f"| kind | name of the span begins with: {', '.join(f'{n} = {k}' for n, k in dialect.named.items())} |"
        )
    for field in FIELDS:
        if field in dialect.written:
            lines.append(f"| {field} | {', '.join(f'`{rule}`' for rule in dialect.written[field])} |")
    return "\n".join([*lines, ""])


def _anchor(title: str) -> str:
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -")
    return kept.replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
