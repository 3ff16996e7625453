"""Undeclared consumers: services that use an output or a prompt of another service, of which no declaration says so.

The term is of Sculley et al., "Hidden Technical Debt in Machine Learning Systems" (NeurIPS 2015, section 2). What traces can
show: a call in one trace from service to service, a prompt that two services run, and an output that comes back word by word
as the input of another service. Who copies an output into a spreadsheet, or sends no traces, is not seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.govern.debt.finding import Cost, Finding

if TYPE_CHECKING:
    from afere.govern.debt.facts import Facts, Ran

_EVIDENCE = 5
_MOST = 20_000  # requests whose words are compared; the newest
_OUTPUTS = ("chain", "agent", "llm")  # kinds whose output others use


def findings(facts: Facts) -> Iterator[Finding]:
    """Every finding of the rule `pipeline.undeclared-consumer`: one for each service and what it uses."""
    rule = facts.rules["pipeline.undeclared-consumer"]
    said = facts.project.config.get("consumers")
    entries = [cast("dict[str, Json]", one) for one in said if isinstance(one, dict)] if isinstance(said, list) else []
    severity = "warning" if entries and rule.severity == "note" else rule.severity
    since = facts.days_ago(rule["days"])
    recent = [span for span in facts.spans if span.service and span.start >= since]
    if len({span.service for span in recent}) < 2:
        return
    found: dict[tuple[str, str, str], list[Ran]] = defaultdict(list)
    for way, used, span in (*_called(recent), *_prompts(recent), *_copied(facts, recent, int(rule["characters"]))):
        found[cast("str", span.service), used, way].append(span)
    told: set[tuple[str, str]] = set()
    for (service, used, way), spans in sorted(found.items(), key=lambda one: -len(one[1])):
        traces = tuple(dict.fromkeys(span.trace for span in spans))
        if len(traces) < rule["traces"] or _declared(entries, service, used) or (service, used) in told:
            continue
        told.add((service, used))
        yield Finding(
            rule.id, severity, f"{service} uses {used}",
            f"{service} {way} {used} in {len(traces)} traces of {rule['days']:.0f} days, and consumers: of afere.yaml does not say so: who changes {used} does not know whom it touches.",
            f"ask who owns {service}, and write it into afere.yaml: consumers: [{{name: {service}, uses: [{used}], owner: NAME}}]",
            traces[-_EVIDENCE:], min(spans, key=lambda span: span.start).day, Cost(calls=len(spans)),
        )  # fmt: skip


def _declared(entries: Sequence[dict[str, Json]], service: str, used: str) -> bool:
    for one in entries:
        uses = one.get("uses")
        if one.get("name") == service and (not isinstance(uses, list) or used in uses):
            return True
    return False


def _called(spans: Sequence[Ran]) -> Iterator[tuple[str, str, Ran]]:
    """Chains, agents and models of one service below a span of another: the caller, and what it calls."""
    known = {(span.trace, span.id): span for span in spans}
    for span in spans:
        above = known.get((span.trace, span.parent)) if span.parent else None
        while above is not None and above.service == span.service and above.kind not in _OUTPUTS:
            above = known.get((above.trace, above.parent)) if above.parent else None  # an HTTP server's own span
        if above is not None and above.service != span.service and span.kind in _OUTPUTS:
            yield "calls", span.name, above


def _prompts(spans: Sequence[Ran]) -> Iterator[tuple[str, str, Ran]]:
    """Prompts that several services run, by all but the one that runs it most, which is taken for its own."""
    ran: dict[str, dict[str, list[Ran]]] = defaultdict(lambda: defaultdict(list))
    for span in spans:
        for name in span.prompts:
            ran[name][cast("str", span.service)].append(span)
    for name, services in ran.items():
        own = max(services, key=lambda service: (len(services[service]), service))
        for service, theirs in services.items():
            if service != own:
                yield from (("runs the prompt", name, span) for span in theirs)


def _copied(facts: Facts, spans: Sequence[Ran], length: int) -> Iterator[tuple[str, str, Ran]]:
    """Requests of one service that hold, word by word, what another one had answered before in another trace."""
    recent = {id(span) for span in spans}
    tops = [span for span in facts.roots if id(span) in recent][-_MOST:]
    made: dict[str, list[Ran]] = defaultdict(list)
    for span in tops:
        if len(span.made) >= length and span.made[:length] not in span.given:
            made[span.made[:length]].append(span)
    usual = {text for text, answers in made.items() if len(answers) > 1}  # an answer that is always the same is no sign
    for span in tops:
        for at in range(len(span.given) - length + 1):
            text = span.given[at : at + length]
            if text in made and text not in usual:
                (source,) = made[text]
                if source.service != span.service and source.start <= span.start and source.trace != span.trace:
                    yield "is given the output of", source.name, span
                break
