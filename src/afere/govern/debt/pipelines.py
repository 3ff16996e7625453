"""Opaque pipelines: time, contents, versions, links and prices that the traces do not show."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from statistics import median

from afere.govern.debt.facts import Facts, Ran
from afere.govern.debt.finding import Cost, Finding
from afere.models.weights import NAME as BUNDLED

_EVIDENCE = 5  # traces that a finding names
_SAYS = ("llm", "agent", "tool", "retrieval", "chain")  # kinds of which an input or output is expected


def findings(facts: Facts) -> Iterator[Finding]:
    """Every finding of the rules `pipeline.*`."""
    yield from untraced_time(facts)
    yield from empty_spans(facts)
    yield from missing_versions(facts)
    yield from broken_context(facts)
    yield from unpriced(facts)


def untraced_time(facts: Facts) -> Iterator[Finding]:
    """A kind of request of whose time a large share lies under no child span, although it has children."""
    rule = facts.rules["pipeline.untraced-time"]
    below: dict[tuple[str, str], list[Ran]] = defaultdict(list)
    for span in facts.spans:
        if span.parent is not None:
            below[span.trace, span.parent].append(span)
    gaps: dict[str, list[tuple[float, float, Ran]]] = defaultdict(list)
    for span in facts.spans:
        children = below.get((span.trace, span.id))
        if children and span.seconds and span.status in ("ok", "error"):
            gap = span.seconds - _covered(span, children)
            gaps[span.name].append((gap, gap / span.seconds, span))
    for name, found in gaps.items():
        if len({span.trace for _, _, span in found}) < rule["traces"]:
            continue
        gap, share = median(gap for gap, _, _ in found), median(share for _, share, _ in found)
        if share < rule["share"] or gap < rule["seconds"]:
            continue
        worst = sorted(found, key=lambda one: -one[0])
        yield Finding(
            rule.id, rule.severity, name,
            f"{share:.0%} of its time ({gap:.1f} s in the typical case) lies under no child span: something slow in it is not traced.",
            "put the slow step into a span: with afere.span(\"NAME\"): ... or @afere.trace on its function",
            _traces([span for _, _, span in worst]), _since([span for _, _, span in found]), Cost(calls=len(found)),
        )  # fmt: skip


def _covered(span: Ran, children: Sequence[Ran]) -> float:
    """Seconds of a span during which at least one child ran."""
    end = span.start + int((span.seconds or 0) * 1e9)
    covered, reached = 0, span.start
    for child in sorted(children, key=lambda one: one.start):
        begin = max(child.start, reached)
        stop = min(child.start + int((child.seconds or 0) * 1e9), end)
        if stop > begin:
            covered += stop - begin
            reached = stop
    return covered / 1e9


def empty_spans(facts: Facts) -> Iterator[Finding]:
    """Calls of one name that mostly say neither what went in nor what came out."""
    rule = facts.rules["pipeline.empty-span"]
    if facts.project.config.get("content") == "none":  # the project asked for structure only
        return

    def silent(span: Ran) -> bool:
        return not (span.given or span.arguments) or not (span.made or span.status == "error")

    for name, all_, found in _shares(facts, silent, kinds=_SAYS):
        share = len(found) / len(all_)
        if len(all_) < rule["spans"] or share < rule["share"]:
            continue
        lacks = Counter("input" if not (span.given or span.arguments) else "output" for span in found).most_common(1)[
            0
        ][0]
        yield Finding(
            rule.id, rule.severity, name,
            f"{len(found)} of {len(all_)} calls recorded no {lacks}, so nobody can see why they answered as they did.",
            "turn on the capture of contents: for OpenTelemetry instrumentors "
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY; in own code span.set(...) or .input() and .output()",
            _traces(found), _since(found), _cost(found),
        )  # fmt: skip


def missing_versions(facts: Facts) -> Iterator[Finding]:
    """Model calls that no prompt, component or code version can be named for, in their whole trace."""
    rule = facts.rules["pipeline.missing-version"]
    versioned = {span.trace for span in facts.spans if span.versioned}
    for name, all_, found in _shares(facts, lambda span: span.trace not in versioned, kinds=("llm",)):
        share = len(found) / len(all_)
        if len(all_) < rule["spans"] or share < rule["share"]:
            continue
        yield Finding(
            rule.id, rule.severity, name,
            f"{len(found)} of {len(all_)} calls name no version of a prompt or of the code: what made these answers cannot be found again.",
            "run the prompt through afere.prompt(...), or set gen_ai.prompt.name and gen_ai.prompt.version on the span and "
            "service.version on the resource (OTEL_RESOURCE_ATTRIBUTES=service.version=$(git rev-parse --short HEAD))",
            _traces(found), _since(found), _cost(found),
        )  # fmt: skip


def broken_context(facts: Facts) -> Iterator[Finding]:
    """Spans whose parent never arrived."""
    rule = facts.rules["pipeline.broken-context"]
    known = {(span.trace, span.id) for span in facts.spans}
    settled = facts.now - 600 * 10**9  # what is younger may still be on its way

    def torn(span: Ran) -> bool:
        return span.parent is not None and (span.trace, span.parent) not in known and span.start < settled

    tops = [span for span in facts.roots if span.start < settled]
    pieces = Counter(span.trace for span in tops)
    # Where all that a service does comes from a caller that sends no traces, such as a gateway, its one piece is all there is.
    begins = {span.service for span in tops if span.parent is None}
    by_name: dict[str, list[Ran]] = defaultdict(list)
    for span in tops:
        if torn(span) and (pieces[span.trace] > 1 or span.service in begins):
            by_name[span.name].append(span)
    every: dict[str, set[str]] = defaultdict(set)
    for span in facts.spans:
        if span.name in by_name:
            every[span.name].add(span.trace)
    for name, found in by_name.items():
        traces = {span.trace for span in found}
        if len(traces) < rule["traces"] or len(traces) / len(every[name]) < rule["share"]:
            continue
        yield Finding(
            rule.id, rule.severity, name,
            f"{len(traces)} traces hold a {name} whose parent never arrived: the request it belongs to is seen in pieces.",
            "pass the context on: send afere.tracing.headers() (W3C traceparent) with the call, or start the thread's work "
            "with afere.tracing.carry(fn); and check that the caller exports its spans too",
            _traces(found), _since(found), Cost(calls=len(found)),
        )  # fmt: skip


def unpriced(facts: Facts) -> Iterator[Finding]:
    """Model calls with tokens and without a price. The model that comes with afere runs in the program: nobody bills for it."""
    rule = facts.rules["pipeline.unpriced"]
    by_model: dict[str, list[Ran]] = defaultdict(list)
    for span in facts.spans:
        if span.kind in ("llm", "embedding") and span.status != "error" and span.model != BUNDLED:
            by_model[span.model or span.name].append(span)
    for model, all_ in by_model.items():
        found = [span for span in all_ if span.usd is None]
        if len(all_) < rule["spans"] or len(found) / len(all_) < rule["share"]:
            continue
        counted = sum(span.tokens is not None for span in found)
        why = "its price is not known here" if counted else "they report no tokens"
        action = (
            f"write its price into afere.yaml: models: {{NAME: {{model: {model}, prices: {{input: USD, output: USD}}}}}} (per million tokens)"
            if counted
            else "report the usage: for streamed OpenAI calls stream_options={'include_usage': True}"
        )
        yield Finding(
            rule.id, rule.severity, model, f"{len(found)} of {len(all_)} calls of {model} have no cost: {why}.", action,
            _traces(found), _since(found), _cost(found),
        )  # fmt: skip


def _shares(
    facts: Facts, wanted: Callable[[Ran], bool], *, kinds: Sequence[str]
) -> Iterator[tuple[str, list[Ran], list[Ran]]]:
    """By name: all ended spans of these kinds, and those that are wanted, where any is."""
    by_name: dict[str, list[Ran]] = defaultdict(list)
    for span in facts.spans:
        if span.kind in kinds and span.status in ("ok", "error"):
            by_name[span.name].append(span)
    for name, all_ in by_name.items():
        if found := [span for span in all_ if wanted(span)]:
            yield name, all_, found


def _traces(spans: Sequence[Ran]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(span.trace for span in spans))[:_EVIDENCE]


def _since(spans: Sequence[Ran]) -> str:
    return min(spans, key=lambda span: span.start).day


def _cost(spans: Sequence[Ran]) -> Cost:
    tokens = [span.tokens for span in spans if span.tokens is not None]
    usd = [span.usd for span in spans if span.usd is not None]
    return Cost(
        len(spans), sum(tokens) if tokens else None, sum(usd) if usd else None, sum(span.status == "error" for span in spans)
    )  # fmt: skip
