"""Write docs/reference/scorers.md from the scorers themselves: their words, options and worked examples."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any, cast

from afere.base.extension import load
from afere.evals.judge import Judge
from afere.evals.scorers import SCORERS, Scorer, tools
from afere.evals.scorers.names import in_words, schema_of_options

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "scorers.md"
GROUPS = {
    "text": ("Text", ""),
    "nearness": ("Near enough", "Letters, numbers and JSON values. `fuzzy` and `levenshtein` need the extra `metrics`."),
    "overlap": (
        "Overlap with references",
        "For translations and summaries that have reference texts. `bleu` and `chrf` need the extra `metrics`.",
    ),
    "classify": ("Classification", ""),
    "retrieval": (
        "Search",
        (
            "These read the documents that retrieval spans recorded (where nothing ran: the row's `context`), and the row's "
            "`relevant`. An id such as `docs/a.md#2` means that passage, `docs/a.md` any passage of the file. "
            "Option `k`: look at the first k only."
        ),
    ),
    "tools": ("Tools and trajectories", (inspect.getdoc(tools) or "").partition("\n\n")[2]),
    "wording": ("The output by itself", ""),
    "runs": ("What the run took", "Read from the trace; with `of:` of that component alone."),
    "people": ("People", ""),
}  # fmt: skip
TAKES = {"input", "output", "expected", "context", "trace", "row"}


def page() -> str:
    """The whole page."""
    found = {name: load("scorer", name, builtin=SCORERS) for name in SCORERS}
    scorers: dict[int, list[str]] = {}
    for name, one in found.items():
        if isinstance(one, Scorer):
            scorers.setdefault(id(one), []).append(name)
    own = {names[0]: (cast("Scorer", found[names[0]]), names[1:]) for names in scorers.values()}
    judges: dict[int, list[str]] = {}
    for name, one in found.items():
        if isinstance(one, Judge):
            judges.setdefault(id(one), []).append(name)
    parts = [HEAD, _table(own, {names[0]: (found[names[0]], names[1:]) for names in judges.values()}), SETUP]
    for group, (title, words) in GROUPS.items():
        inside = [(name, *said) for name, said in own.items() if said[0].function.__module__.endswith(f".{group}")]
        parts.append(f"## {title}\n" + (f"\n{' '.join(words.split())}\n" if words else ""))
        parts += [_section(name, one, others) for name, one, others in inside]
    parts.append(_judges({names[0]: (found[names[0]], names[1:]) for names in judges.values()}))
    return "\n".join([*parts, TAIL])


def _words(one: Scorer) -> tuple[str, str]:
    """What it says of itself, and its examples."""
    text = inspect.getdoc(one.function) or ""
    at = text.find(">>>")
    said, example = (text, "") if at < 0 else (text[:at], text[at:])
    return "\n\n".join(" ".join(part.split()) for part in said.strip().split("\n\n")), example.strip()


def _table(own: dict[str, Any], judges: dict[str, Any]) -> str:
    lines = ["| name | what it says | needs |", "|---|---|---|"]
    for name, (one, others) in own.items():
        said = _words(one)[0].partition("\n")[0]
        lines.append(f"| {_names(name, others)} | {_first(said)} | {_needs(one)} |")
    for name, (one, others) in judges.items():
        lines.append(
            f"| {_names(name, others)} | judge: {_first(one.rubric)} | a model, {', '.join(one.sees) or 'output'} |"
        )
    for kind, what in KINDS.items():
        lines.append(f"| `{kind}` | {what} | a model, a rubric |")
    return "\n".join(lines) + "\n"


def _names(name: str, others: list[str]) -> str:
    return f"**{name}**" + "".join(f", `{other}`" for other in others)


def _first(text: str) -> str:
    """The first clause; what stands in brackets does not end it."""
    ends = re.finditer(r"(?<=[^.A-Z0-9]{2})[.:;](?=\s|$)", text)
    end = next(
        (one.start() for one in ends if text.count("(", 0, one.start()) == text.count(")", 0, one.start())), len(text)
    )
    return text[:end].strip().rstrip(".").replace("|", "\\|")


def _needs(one: Scorer) -> str:
    signature = inspect.signature(one.function).parameters
    wanted = [p.name for p in signature.values() if p.name in TAKES and p.default is p.empty and p.name != "row"]
    extra = {"fuzzy": "metrics", "levenshtein": "metrics", "bleu": "metrics", "chrf": "metrics", "similarity": "local"}
    more = [f"extra `{extra[one.name]}`"] if one.name in extra else []
    relevant = ["`relevant`"] if one.function.__module__.endswith(".retrieval") else []
    return ", ".join([*wanted, *relevant, *more])


def _section(name: str, one: Scorer, others: list[str]) -> str:
    said, example = _words(one)
    also = f" (also {', '.join(f'`{other}`' for other in others)})" if others else ""
    lines = [f"**{name}**{also}: {said}"]
    options = [(option, *_option(one, option)) for option in _options(one)]
    if options:
        lines.append(
            "Options: " + "; ".join(f"`{option}` ({kind}, default {value})" for option, kind, value in options) + "."
        )
    if example:
        lines.append(f"```python\n{example}\n\n```")
    return "\n\n".join(lines) + "\n"


def _options(one: Scorer) -> list[str]:
    return [name for name in inspect.signature(one.function).parameters if name not in TAKES]


def _option(one: Scorer, option: str) -> tuple[str, str]:
    schema = schema_of_options(one).get(option, {})
    default = inspect.signature(one.function).parameters[option].default
    shown = "none" if default is None else str(default).lower() if isinstance(default, bool) else f"{default}"
    return in_words(schema), shown


def _judges(judges: dict[str, Any]) -> str:
    lines = [JUDGES]
    for name, (one, others) in judges.items():
        also = f" (also {', '.join(f'`{other}`' for other in others)})" if others else ""
        scale = "" if one.scale == ("fail", "pass") else f" Scale: {', '.join(one.scale)}."
        lines.append(f"**{name}**{also}: {one.rubric}{scale}\n")
    return "\n".join(lines)


KINDS = {
    "judge": "one model holds the output against your rubric",
    "panel": "several models do, by majority or mean",
    "cascade": "a cheap model does, and a dear one where it is unsure",
    "pairwise": "which of two outputs is better, asked in both orders",
}
HEAD = """# Scorers

<!-- written by tools/make_scorers.py from the scorers themselves -->

Named in a suite (`scorers: [exact, f1]`), configured (`{name: close, kind: similarity, to: input}`), on one component (`of: search`), on each turn of a conversation (`of: turn`), or `module:function` of your own. What
stands in one row below is one scorer: under whichever of its names you call it, that is the name of the measure. Options are checked against their types before anything runs.
"""
SETUP = """
A bool is a rate, a number a mean, a text a share for each value. A row without what the scorer needs gives unknown, with the reason, and never zero. The examples below run as tests, with these two helpers and a trace of three steps:

```python
>>> from afere.base.span import Span, Trace
>>> from afere.data import Row
>>> from afere.evals.scorers import Case, named
>>> def scores(entry, output, expected=None, trace=None, **row):
...     return named(entry).score(Case(Row("r", {"question": "?"}, expected, **row), output, trace))
>>> def score(*given, **more):
...     return next(iter(scores(*given, **more).values()))
>>> t, ms = "7" * 32, 1_000_000
>>> trace = Trace(t, (
...     Span(t, "a" * 16, "desk", 0, kind="agent", end=900 * ms),
...     Span(t, "b" * 16, "search", 0, "a" * 16, "tool", 250 * ms, tool={"name": "search", "arguments": {"q": "leave"}}),
...     Span(t, "c" * 16, "answer", 250 * ms, "a" * 16, "llm", 800 * ms, input_tokens=100, output_tokens=20, cost=0.002,
...          first_token_seconds=0.12),
...     Span(t, "d" * 16, "book", 800 * ms, "a" * 16, "tool", 900 * ms, tool={"name": "book", "arguments": {"days": 2}}),
... ))

```

`of: COMPONENT` scores the output, the documents and the spans of that component; several runs of it in one trace count as their mean. `of: turn` scores each message that the assistant said in a conversation (or each span called `turn`),
with what was said before as its input; the measure is then called `turn.NAME`, its mean over a session counts once, and a list of as many `expected` values is one for each turn. The first five turns stand beside it as `turn.NAME.turn1` and so on, over the sessions that have so many.

```python
>>> talk = [{"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Leave?"}, {"role": "assistant", "content": "25 days"}]
>>> scores({"name": "brief", "kind": "length", "most": 1, "of": "turn"}, {"messages": talk})["turn.brief"].value
0.5
>>> score("exact", "Paris").why
'the row has no expected'
>>> score({"name": "close", "kind": "recall", "k": "four"}, "x")
Traceback (most recent call last):
    ...
afere.base.errors.BadInput: scorer 'close': option k is "four"; it must be a whole number.

```
"""
JUDGES = """## Judges

A judge asks a model (`model:`, else `models.judge` of `afere.yaml`). Its kinds, options, safety and calibration are in [the guide to judges](../guides/judges.md):
`judge`, `panel`, `cascade` and `pairwise` take a rubric of your own. These come with one:
"""
TAIL = """## Images

An output, input or expected value `{"type": "image", "url": "https://... or data:image/png;base64,..."}` is shown to a judge as a picture, if its model sees pictures. By reference, `exact` says whether two are the same bytes.
There is no measure of how alike two pictures are.

## Measured without a scorer

`seconds, cost, errors, input_tokens, output_tokens, first_token_seconds`: lower is better for all. A run that raised counts as an error and has no time and no cost; a run that the model, network or disk broke counts as nothing.

## Your own

```python
>>> import afere
>>> @afere.scorer
... def short(output, *, limit: int = 20):
...     return len(output) <= limit
>>> score({"name": "tiny", "kind": "app:short", "limit": 5}, "hello")
Traceback (most recent call last):
    ...
afere.base.errors.NotFound: scorer 'app:short': there is no module 'app'. Check the spelling and the project folder.
>>> named(short).score(Case(Row("r"), "hello"))["short"].value
True

```

A parameter that is not one of `input, output, expected, context, trace, row` and has no default is refused when the scorer is declared; `trace=None` or `expected=None` says that it can do without. `context` is the list of documents
that the run retrieved, `trace` the run's spans, `row` the row with its `relevant`, `tags` and `metadata`. It returns a bool, number, text, None, a Score, or a dict of them by name (`""` is its own name). What it raises, NaN and infinity become
unknown with the reason. `@afere.scorer(better="lower")` says that less is better, `name="..."` gives another name, `within=(0, 1)` says what it can answer at all: intervals stay inside, and a number outside is unknown, with the reason. Async functions are awaited.

See the guide to [evaluating](../guides/evaluate.md).
"""

if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        sys.exit(
            0
            if PAGE.read_text(encoding="utf-8") == text
            else f"{PAGE} is not what the scorers say: python tools/make_scorers.py"
        )
    PAGE.write_text(text, encoding="utf-8")
