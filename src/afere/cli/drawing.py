"""How an artifact, a trace and a difference look in a terminal. Text of users and models is never read as markup."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, cast

import yaml
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from afere.base.artifact import Artifact, short
from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.decision import Decision, Ruling
from afere.base.score import Score
from afere.base.span import Span, Trace
from afere.cli.common import dollars, printable
from afere.store.spans.joining import died

if TYPE_CHECKING:
    from afere.chains.revision import Change
    from afere.store import Session

_MAX_LINES = 120
_MAX_SPANS = 1_000  # of a trace
_MAX_VALUE = 120  # characters of a value beside its name
_STYLES = {"+": "green", "-": "red", "@": "dim"}
_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_TEXTS = {"prompt": ("template",), "judge": ("rubric", "template")}


def draw_artifact(console: Console, artifact: Artifact, session: Session) -> None:
    """Reference, history and content: prompts as they are written, experiments and decisions as `afere gate` shows them."""
    title = artifact.ref if artifact.version else f"{artifact.kind}:{artifact.name} (as written, never run)"
    console.print(Text.assemble((title, "bold"), "  ", (short(artifact.hash), "dim")))
    facts = [("hash", artifact.hash), ("version", str(artifact.version)), ("aliases", ", ".join(artifact.aliases))]
    facts += [("made", f"{artifact.at[:19].replace('T', ' ')} UTC by {artifact.by}" if artifact.at else "")]
    facts += [("why", artifact.why), ("blob", artifact.blob or "")]
    facts += [("uses" if i == 0 else "", f"{use.role}: {use.ref}") for i, use in enumerate(artifact.uses)]
    for name, value in facts:
        if value and value != "0":
            console.print(Text.assemble((f"{name:8} ", "dim"), value))
    content = artifact.content
    if isinstance(content, dict):
        if artifact.kind in ("experiment", "decision") and _draw_judged(console, artifact, content, session):
            return
        content = {**content}
        for field in _TEXTS.get(artifact.kind, ()):
            text = content.pop(field, None)
            if isinstance(text, str):
                _block(console, field, text)
        if artifact.kind == "chain" and isinstance(parts := content.pop("parts", None), dict):
            _block(console, "made of", "\n".join(parts))
            _draw_recorded(console, artifact, content, session)
            content = {name: content[name] for name in ("packages", "rules") if content.get(name)}
    if content not in (None, {}, []):
        _block(console, "content", yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=110))


def _draw_recorded(console: Console, artifact: Artifact, content: Mapping[str, Json], session: Session) -> None:
    """What running has shown of a chain, what could not be captured, and where it ran last."""
    from afere.chains.revision import recorded

    found = cast("list[dict[str, Any]]", content.get("found") or [])
    known = recorded(artifact, session)
    told = {f"{one['part']} was found by running" for one in found}
    for title, lines in (
        ("found by running", [str(one["part"]) for one in found]),
        ("notes", [note for note in known.notes if note not in told]),
        ("where it ran last", _setting_lines(known.setting)),
    ):
        if lines:
            _block(console, title, "\n".join(lines))


def _setting_lines(setting: Mapping[str, Json]) -> list[str]:
    lines = [f"{name}: {value}" for name, value in setting.items() if isinstance(value, str)]
    for name, value in cast("dict[str, Json]", setting.get("environment") or {}).items():
        lines.append(f"variable {name}: {'not set' if value is None else 'set'}")
    if distributions := cast("dict[str, Json]", setting.get("distributions") or {}):
        lines.append(f"{len(distributions)} distributions (all with --json)")
    return lines


def chain_json(artifact: Artifact, session: Session) -> dict[str, Json]:
    """A chain's revision with what is recorded beside it: notes, and the setting that it ran in last."""
    from afere.chains.revision import recorded

    known = recorded(artifact, session)
    return {**cast("dict[str, Json]", artifact.to_json()), "notes": list(known.notes), "setting": dict(known.setting)}


def _draw_judged(console: Console, artifact: Artifact, content: Mapping[str, Json], session: Session) -> bool:
    """Draw an experiment or a decision; False if it was not made by an evaluation."""
    from afere.cli.judged import draw_decision, draw_experiment

    if artifact.kind == "experiment" and "target" in content:
        from afere.evals.experiment import experiment

        console.print()
        draw_experiment(console, experiment(artifact.ref, session=session))
        return True
    rules = content.get("rules")
    if artifact.kind == "decision" and isinstance(rules, list):
        rulings = tuple(Ruling(**cast("dict[str, Any]", rule)) for rule in rules)
        draw_decision(console, Decision(str(content.get("subject")), rulings, ref=artifact.ref))
        return True
    return False


def _block(console: Console, title: str, text: str) -> None:
    lines = text.rstrip("\n").splitlines()
    console.print(Text(f"\n{title}", "bold"))
    console.print(Text("\n".join(f"  {line}" for line in lines[:_MAX_LINES])))
    if len(lines) > _MAX_LINES:
        console.print(Text(f"  ... {len(lines) - _MAX_LINES} more lines: --json shows all", "dim"))


def draw_trace(console: Console, trace: Trace, scores: Sequence[Score], *, messages: bool = False) -> None:
    """The tree of spans with time, tokens, cost and errors, and what they said if asked; then what is thought of it."""
    root, totals = trace.root, trace.totals
    console.print(
        Text.assemble(
            (printable(root.name), "bold"),
            f"  {rfc3339(root.start)[:19].replace('T', ' ')} UTC  ",
            (trace.trace_id, "dim"),
        )
    )
    for name, value in (("input", root.input), ("output", root.output)):
        if value is not None:
            console.print(Text.assemble((f"{name:8} ", "dim"), _cut(value)))
    tree = Tree(_span_line(root), guide_style="dim")
    nodes = {root.span_id: tree}
    shown = sorted(trace.spans, key=lambda span: span.start)[:_MAX_SPANS]
    for span in shown:
        if span.span_id == root.span_id:
            continue
        # A span whose parent is unknown hangs under the root rather than being lost.
        nodes.setdefault(span.span_id, Tree(_span_line(span), guide_style="dim"))
    for span in shown:
        if span.span_id != root.span_id:
            above = nodes.get(span.parent_id or "", tree)
            (tree if above is nodes[span.span_id] else above).children.append(nodes[span.span_id])
    console.print(tree)
    if len(trace.spans) > len(shown):
        console.print(
            Text(f"... {len(trace.spans) - len(shown):,} more spans: --json has all, and so has the page", "dim")
        )
    if totals.input_tokens is not None or totals.cost is not None:
        console.print(
            Text(f"{totals.spans} spans, {_spent(totals.input_tokens, totals.output_tokens, totals.cost)}", "dim")
        )
    if messages:
        for span in shown:
            _draw_said(console, span)
    elif any(span.input_messages or span.tool or span.documents for span in trace.spans):
        console.print(Text(f"What was said: afere show {trace.trace_id[:12]} --messages", "dim"))
    for score in scores:
        on = score.target.removeprefix(trace.trace_id).removeprefix("/")
        why = f": {score.why}" if score.why else ""
        console.print(
            Text.assemble(
                (printable(score.name), "bold"),
                printable(f" = {json.dumps(score.value)} by {score.by}{why}"),
                (f" on {on}" if on else "", "dim"),
            )
        )


def _draw_said(console: Console, span: Span) -> None:
    """What one step was given and what it said: messages, tool, documents, input and output."""
    lines = _said(span)
    if not lines:
        return
    console.print(Text.assemble((f"\n{printable(span.name)}", "bold"), (f" {span.kind} {span.span_id}", "dim")))
    for who, text in lines:
        console.print(Text.assemble((f"  {printable(who)}  ", "cyan"), printable(text).replace("\n", "\n    ")))


def _said(span: Span) -> list[tuple[str, str]]:
    from afere.server.pages.span import view

    seen = view(span, (), span.status)
    found = [("input", _text(seen.given))] if seen.given is not None else []
    for one in seen.messages:
        parts = [one.text, *(call.text for call in one.calls), *one.attached]
        found.append((one.name or one.role, "\n".join(part for part in parts if part)))
    if seen.call is not None:
        found += [("call", seen.call.text), ("result", "none" if seen.result is None else _text(seen.result))]
    for document in seen.documents:
        score = "" if document.score is None else f" {document.score:.3g}"
        found.append((f"{document.id}{score}", document.text))
    return [*found, ("output", _text(seen.made))] if seen.made is not None else found


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _span_line(span: Span) -> Text:
    took = (
        "died"
        if died(span)
        else "running"
        if span.status == "running"
        else f"{span.seconds:.3f} s"
        if span.seconds is not None
        else "not ended"
    )
    line = Text.assemble((span.name, "bold"), (f" {span.kind}", "dim"), f"  {took}")
    if span.model:
        line.append(f"  {span.model}", "cyan")
    if spent := _spent(span.input_tokens, span.output_tokens, span.cost):
        line.append(f"  {spent}")
    if span.status == "error" or span.error:
        line.append(f"  {span.error or 'failed'}", "bold red")
    if span.marks:
        line.append(f"  [{', '.join(span.marks)}]", "yellow")
    return line


def _spent(input_tokens: int | None, output_tokens: int | None, cost: float | None) -> str:
    tokens = (
        f"{_known(input_tokens)} + {_known(output_tokens)} tokens"
        if (input_tokens, output_tokens) != (None, None)
        else ""
    )
    return ", ".join(part for part in (tokens, dollars(cost, 6) if cost is not None else "") if part)


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)


def _cut(value: Json) -> str:
    text = printable(" ".join(_text(value).split()))
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def trace_json(trace: Trace, scores: Sequence[Score]) -> dict[str, Json]:
    """The trace as the pages' JSON has it, with all of its spans."""
    root = trace.root
    chain = next((ref for span in trace.spans for ref, _ in span.artifacts if ref.startswith("chain:")), None)
    return {
        "trace_id": trace.trace_id, "project": trace.project, "name": root.name, "start": rfc3339(root.start),
        "seconds": root.seconds, "status": "died" if died(root) else root.status, "error": root.error, "input": root.input, "output": root.output,
        "session": root.session, "user": root.user, "environment": root.environment, "chain": chain,
        "totals": trace.totals.to_json(), "scores": [score.to_json() for score in scores],
        "spans": [span.to_json() for span in trace.spans], "next": None,
    }  # fmt: skip


def draw_places(console: Console, changes: Sequence[Mapping[str, Json]]) -> None:
    """What changed in a value, place by place."""
    for change in changes:
        path, lines = str(change["path"]), change.get("lines")
        if isinstance(lines, list):
            console.print(Text(path, "bold"))
            _draw_lines(console, cast("list[str]", lines))
        elif change.get("missing") == "before":
            console.print(Text.assemble((path, "bold"), ": ", (f"+ {_cut(change['after'])}", "green")))
        elif change.get("missing") == "after":
            console.print(Text.assemble((path, "bold"), ": ", (f"- {_cut(change['before'])}", "red")))
        else:
            console.print(Text.assemble((path, "bold"), f": {_cut(change['before'])} -> {_cut(change['after'])}"))


def _draw_lines(console: Console, lines: Sequence[str]) -> None:
    """A unified difference; where as many lines came as went, the words that differ stand out."""
    partners = _partners(lines)
    for number, line in enumerate(lines):
        text = Text(f"  {line}", _STYLES.get(line[:1], ""))
        if number in partners:
            ours, theirs = (_WORD.findall(one[1:]) for one in (line, lines[partners[number]]))
            at = 3  # two spaces and the mark
            for tag, begin, end, _, _ in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
                size = sum(len(word) for word in ours[begin:end])
                if tag != "equal":
                    text.stylize("bold underline", at, at + size)
                at += size
        console.print(text)


def _partners(lines: Sequence[str]) -> dict[int, int]:
    """Which line became which, by their numbers: of k lines that went and k that came in their place."""
    found: dict[int, int] = {}
    for run in re.finditer(r"(-+)(\++)", "".join(line[:1] or " " for line in lines)):
        if len(run[1]) == len(run[2]):
            for went in range(run.start(), run.start(2)):
                came = went + len(run[1])
                found |= {went: came, came: went}
    return found


def draw_parts(console: Console, changes: Sequence[Change]) -> None:
    """What changed in a chain, part by part; then, apart from it, where it ran."""
    inside = [change for change in changes if not change.setting]
    outside = [change for change in changes if change.setting]
    if not inside:
        console.print("The chain is the same.")
    for change in inside:
        head, *body = str(change).splitlines()
        console.print(Text(head, "bold"))
        for line in body:
            console.print(Text(line, _STYLES.get(line.strip()[:1], "")))
    if outside:
        console.print(Text("\nWhere it ran (no part of what the chain is):", "dim"))
        for change in outside:
            console.print(Text(f"  {change}", "dim"))
