"""Tool sprawl: tools that nobody calls, that do the same, that fail, that make wait, or that nobody described or owns."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from statistics import median

from afere.base.clock import rfc3339
from afere.chains.toolcard import ToolCard
from afere.evals.stats import wilson
from afere.govern.debt.facts import Facts, Ran
from afere.govern.debt.finding import Cost, Finding
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.sameness import MOST, pairs, reads
from afere.govern.debt.topics import groups
from afere.models.tokens import count_tokens

_EVIDENCE = 5
_NEAR = 4  # alike requests that are grouped at least
_MOST_INTENTS = 2_000  # requests that are compared with each other
_WORD = re.compile(r"[^\W\d_]{2,}")
_EVERY_WORD = re.compile(r"[^\W_]+")


def findings(facts: Facts) -> Iterator[Finding]:
    """Every finding of the rules `tools.*`."""
    likeness = Likeness()
    yield from unused(facts)
    yield from overlap(facts, likeness)
    yield from ambiguous(facts, likeness)
    yield from failing(facts)
    yield from slow(facts)
    yield from undescribed(facts)
    yield from unowned(facts)
    yield from too_many(facts)
    yield from wide_permission(facts)
    yield from changed(facts)


def unused(facts: Facts) -> Iterator[Finding]:
    """Declared, there long enough, its agent busy, and never called."""
    rule = facts.rules["tools.unused"]
    since = facts.days_ago(rule["days"])
    for card in facts.tools:
        calls = facts.tool_calls.get(card.name, [])
        if any(call.start >= since for call in calls) or _young(facts, card, rule["days"]):
            continue
        busy = _requests(facts, card, since)
        if busy < rule["requests"]:
            continue
        tokens = _card_tokens(card)
        last = max((call.start for call in calls), default=None)
        said = f"last called {_days(facts, last)} days ago" if last else "never called"
        yield Finding(
            rule.id, rule.severity, card.name,
            f"{said.capitalize()}, while {busy:,} requests went by in {rule['days']:.0f} days; its description goes into each of them.",
            f"take it out of {card.place or 'the tools of its agents'}, or say in its description when it is to be used",
            (card.place,) if card.place else (), _iso(facts, last) if last else card.added, Cost(calls=0, tokens=tokens * busy),
            card.owner,
        )  # fmt: skip


def overlap(facts: Facts, likeness: Likeness) -> Iterator[Finding]:
    """Pairs that a model can hardly tell apart: alike by deed, things and parameters, and each the likeliest twin of the other."""
    rule = facts.rules["tools.overlap"]
    cards = [card for card in facts.tools if card.description]
    left = f"tools.overlap compares the first {MOST} of {len(cards)} described tools with each other."
    if len(cards) > MOST and left not in facts.problems:
        facts.problems.append(left)
    for a, b, alike, first in pairs(cards[:MOST], likeness):
        if alike < rule["likeness"] or not first:
            continue
        calls = [*facts.tool_calls.get(a.name, ()), *facts.tool_calls.get(b.name, ())]
        yield Finding(
            rule.id, rule.severity, f"{a.name}, {b.name}",
            f"{a.name} ({a.description[:80]!r}) and {b.name} ({b.description[:80]!r}) serve the same purpose (likeness {alike:.2f}).",
            f"keep one: give {a.name} what {b.name} adds, and take {b.name} out of {b.place or 'the tools'}; or say in both descriptions what sets them apart",
            tuple(dict.fromkeys(place for place in (a.place, b.place) if place)), max(a.added or "", b.added or "") or None,
            Cost(calls=len(calls), tokens=_card_tokens(b) * len(facts.roots)), a.owner or b.owner,
        )  # fmt: skip


def ambiguous(facts: Facts, likeness: Likeness) -> Iterator[Finding]:
    """Alike requests that go now to one tool, now to another."""
    rule = facts.rules["tools.ambiguous"]
    first: dict[str, Ran] = {}
    for span in facts.spans:
        if span.tool is not None and span.trace not in first:
            first[span.trace] = span
    roots = {span.trace: span for span in facts.roots}
    asked = [(roots[trace].given, call) for trace, call in first.items() if trace in roots and roots[trace].given]
    alike = groups([text for text, _ in asked[-_MOST_INTENTS:]], likeness, rule["likeness"])
    pairs: dict[tuple[str, str], list[tuple[str, list[Ran]]]] = defaultdict(list)
    recent = asked[-_MOST_INTENTS:]
    for members in alike:
        calls = [recent[index][1] for index in members]
        tools = Counter(call.tool or "" for call in calls)
        if len(calls) < max(_NEAR, rule["calls"]) or len(tools) < 2 or _told_apart(recent[index] for index in members):
            continue
        (one, _), (other, count) = tools.most_common(2)
        if count / len(calls) >= rule["minority"]:
            pairs[min(one, other), max(one, other)].append((recent[members[0]][0], calls))
    for (one, other), found in pairs.items():
        calls = [call for _, group in found for call in group]
        split = Counter(call.tool for call in calls)
        yield Finding(
            rule.id, rule.severity, f"{one}, {other}",
            f"requests like {found[0][0][:80]!r} went {split[one]} times to {one} and {split[other]} times to {other}.",
            f"say in both descriptions which requests are whose (\"use {other} only when ...\"), and add such requests to a suite with the tool that is expected",
            tuple(dict.fromkeys(call.trace for call in calls))[:_EVIDENCE], calls[0].day, Cost(calls=len(calls)),
        )  # fmt: skip


def _told_apart(asked: Iterable[tuple[str, Ran]]) -> bool:
    """Whether the words decide: each request that came more than once, in the same words, always went to the same tool."""
    chosen: dict[frozenset[str], Counter[str]] = defaultdict(Counter)
    for text, call in asked:
        chosen[frozenset(_WORD.findall(text.lower()))][call.tool or ""] += 1
    again = [tools for tools in chosen.values() if tools.total() > 1]
    return len(again) > 1 and all(len(tools) == 1 for tools in again)


def failing(facts: Facts) -> Iterator[Finding]:
    """Tools whose failure rate is surely above the threshold."""
    rule = facts.rules["tools.failing"]
    for name, calls in facts.tool_calls.items():
        ended = [call for call in calls if call.status in ("ok", "error")]
        recent = [call for call in ended if call.start >= facts.days_ago(rule["days"])]
        if len(recent) >= rule["calls"]:  # what was mended since is no debt
            ended = recent
        failed = [call for call in ended if call.status == "error"]
        if len(ended) < rule["calls"] or wilson(len(failed), len(ended))[0] <= rule["rate"]:
            continue
        reason = Counter((call.error or "no reason given").split("\n")[0][:100] for call in failed).most_common(1)[0][0]
        wasted = [usd for call in failed if (usd := call.usd) is not None]
        yield Finding(
            rule.id, rule.severity, name,
            f"{len(failed)} of {len(ended)} calls failed, mostly with: {reason}",
            f"look at one: afere show {failed[-1].trace}; then mend the tool, or tighten its parameters so that wrong calls cannot be made",
            tuple(dict.fromkeys(call.trace for call in reversed(failed)))[:_EVIDENCE], failed[0].day,
            Cost(len(ended), None, sum(wasted) if wasted else None, len(failed)), _owner(facts, name),
        )  # fmt: skip


def slow(facts: Facts) -> Iterator[Finding]:
    """Tools that take long, or most of the time of the requests that call them."""
    rule = facts.rules["tools.slow"]
    whole = {span.trace: span.seconds for span in facts.roots}
    for name, calls in facts.tool_calls.items():
        timed = [call for call in calls if call.seconds is not None and call.status == "ok"]
        if len(timed) < rule["calls"]:
            continue
        typical = median(call.seconds or 0.0 for call in timed)
        shares = [(call.seconds or 0.0) / total for call in timed if (total := whole.get(call.trace))]
        share = median(shares) if shares else 0.0
        if typical <= rule["seconds"] and not (share >= rule["share"] and typical > 1.0):
            continue
        worst = sorted(timed, key=lambda call: -(call.seconds or 0.0))
        yield Finding(
            rule.id, rule.severity, name,
            f"it takes {typical:.1f} s in the typical call, {share:.0%} of the time of its requests.",
            "cache what it answers, give it a time limit, or call it beside the other steps instead of before them",
            tuple(dict.fromkeys(call.trace for call in worst))[:_EVIDENCE], timed[0].day, Cost(calls=len(timed)),
            _owner(facts, name),
        )  # fmt: skip


def undescribed(facts: Facts) -> Iterator[Finding]:
    """A description that says nothing beyond the name."""
    rule = facts.rules["tools.undescribed"]
    for card in facts.tools:
        said = _EVERY_WORD.findall(card.description.lower())
        beyond = set(said) - set(_EVERY_WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])|[_.-]", " ", card.name).lower()))
        if len(said) >= rule["words"] and len(beyond) >= 3:
            continue
        yield Finding(
            rule.id, rule.severity, card.name,
            f"its description is {card.description!r}: a model cannot know from it when to call it." if said else "it has no description: a model has only its name to go by.",
            f"write in {card.place or 'its declaration'} what it does, when to use it and when not, and what each parameter means",
            (card.place,) if card.place else (), card.added, Cost(calls=len(facts.tool_calls.get(card.name, ()))), card.owner,
        )  # fmt: skip


def unowned(facts: Facts) -> Iterator[Finding]:
    """No owner, or one who is not (or no longer) here."""
    rule = facts.rules["tools.unowned"]
    for card in facts.tools:
        if facts.known_owner(card.owner):
            continue
        gone = facts.left(card.owner) if card.owner else None
        why = (
            f"its owner {card.owner} left on {gone.left}." if gone else f"its owner {card.owner} is nobody in people: of afere.yaml." if card.owner else "nobody owns it."
        )  # fmt: skip
        yield Finding(
            rule.id, rule.severity if facts.names_owners and card.place else "note", card.name, why, f"write an owner (a team or a person who is here) into {card.place or 'its declaration'}: owner: NAME",
            (card.place,) if card.place else (), gone.left if gone else card.added,
            Cost(calls=len(facts.tool_calls.get(card.name, ()))),
        )  # fmt: skip


def too_many(facts: Facts) -> Iterator[Finding]:
    """Agents with more tools than models keep apart."""
    rule = facts.rules["tools.too-many"]
    cards = {card.name: card for card in facts.tools}
    for agent in facts.agents:
        if len(agent.tools) <= rule["tools"]:
            continue
        since = facts.days_ago(30)
        idle = [name for name in agent.tools if not any(call.start >= since for call in facts.tool_calls.get(name, ()))]
        tokens = sum(_card_tokens(cards[name]) for name in agent.tools if name in cards)
        yield Finding(
            rule.id, rule.severity, agent.name,
            f"it is offered {len(agent.tools)} tools ({tokens:,} tokens in each call); {len(idle)} of them were not called in 30 days.",
            "take out those that are not called, and give groups of the others to agents of their own"
            + (f": first {', '.join(idle[:5])}" if idle else ""),
            tuple(idle[:_EVIDENCE]), None, Cost(calls=len(facts.roots), tokens=tokens * len(facts.roots)),
        )  # fmt: skip
    yield from _crowded(facts, {agent.name for agent in facts.agents})


def _crowded(facts: Facts, named: set[str]) -> Iterator[Finding]:
    """The same of agents that only traces show: in the typical call of the last days its model is given that many."""
    rule = facts.rules["tools.too-many"]
    given: dict[str, list[Ran]] = defaultdict(list)
    for calls in facts.offers.values():
        for call in calls:
            if call.start >= facts.days_ago(rule["days"]):
                given[facts.caller(call)].append(call)
    for agent, calls in given.items():
        typical = median(len(call.offered) for call in calls)
        if agent in named or len(calls) < rule["calls"] or typical <= rule["tools"]:
            continue
        every = dict.fromkeys(name for call in calls for name in call.offered)
        used = {span.tool for trace in {call.trace for call in calls} for span in facts.traces[trace]}
        idle = [name for name in every if name not in used]
        yield Finding(
            rule.id, rule.severity, agent,
            f"its typical call offers {typical:.0f} tools; {len(idle)} of {len(every)} were not called in its {len(calls)} calls of {rule['days']:.0f} days.",
            "take out those that are not called, and give groups of the others to agents of their own"
            + (f": first {', '.join(idle[:5])}" if idle else ""),
            tuple(dict.fromkeys(call.trace for call in calls))[:_EVIDENCE], calls[0].day, Cost(calls=len(calls)),
        )  # fmt: skip


def wide_permission(facts: Facts) -> Iterator[Finding]:
    """Permissions that many calls never used."""
    rule = facts.rules["tools.wide-permission"]
    for card in facts.tools:
        calls = facts.tool_calls.get(card.name, [])
        said = [call for call in calls if call.permissions]
        if said:
            calls, used = said, {one for call in said for one in call.permissions}
            spare = [one for one in card.permissions if one not in used]
            why, more = f"{len(calls)} calls used {', '.join(sorted(used))}, never {', '.join(spare)}.", ""
        else:
            spare = _beyond_reading(card, calls)
            why = f"it reads, in all of {len(calls)} calls, and may {', '.join(spare)}."
            more = ", or say on its spans what a call used (permission.used)"
        if len(calls) < rule["calls"] or not spare:
            continue
        yield Finding(
            rule.id, rule.severity, card.name, why,
            f"take {', '.join(spare)} out of its permissions in {card.place or 'its declaration'}{more}",
            tuple(dict.fromkeys(call.trace for call in calls))[:_EVIDENCE], card.added, Cost(calls=len(calls)), card.owner,
        )  # fmt: skip


def _beyond_reading(card: ToolCard, calls: Iterable[Ran]) -> list[str]:
    """Of a tool that only reads, by its words or by the SQL that it was given, the permissions that do more."""
    if not reads(card) and not all(_SELECTS.search(call.arguments) for call in calls):
        return []
    return [one for one in card.permissions if _MORE.search(one)]


_SELECTS = re.compile(r"""["']\s*(?:select|with|show|explain)\b""", re.IGNORECASE)
_MORE = re.compile(
    r"(?:^|[^a-z])(?:write|delete|admin|manage|update|create|modify|edit|remove|full|all|owner|root)$|\*$",
    re.IGNORECASE,
)


def changed(facts: Facts) -> Iterator[Finding]:
    """Tools that an MCP server describes otherwise than before, which no person has looked at since."""
    rule = facts.rules["tools.changed"]
    looked = {score.target for score in facts.scores if score.by.startswith("person:")}
    for change in facts.changes:
        if change.after in looked:
            continue
        calls = [call for call in facts.tool_calls.get(change.tool, ()) if call.day >= change.at]
        yield Finding(
            rule.id, rule.severity, change.tool,
            f"the MCP server {change.server} changed its {', '.join(change.what)} on {change.at[:10]}; {len(calls)} calls were made since, and nobody has recorded having looked.",
            f"read what changed: afere tools {change.tool}; then record it: afere score {change.after} seen yes --by person:NAME",
            (change.before, change.after), change.at, Cost(calls=len(calls)), _owner(facts, change.tool),
        )  # fmt: skip


def _requests(facts: Facts, card: ToolCard, since: int) -> int:
    """Requests since then that could have called the tool: those of its agents, where these are seen by name."""
    recent = [span for span in facts.roots if span.start >= since]
    given = [span for names, calls in facts.offers.items() if card.name in names for span in calls]
    if given:
        return len({span.trace for span in given if span.start >= since})
    if not card.agents:
        return len(recent)
    seen = {
        span.trace
        for span in facts.spans
        if span.start >= since and (span.agent in card.agents or span.name in card.agents)
    }
    return len(seen) if seen else len(recent)


def _young(facts: Facts, card: ToolCard, days: float) -> bool:
    return bool(card.added) and str(card.added)[:10] > _iso(facts, facts.days_ago(days))[:10]


def _iso(facts: Facts, moment: int | None) -> str:
    return rfc3339(facts.now if moment is None else moment)


def _days(facts: Facts, moment: int) -> int:
    return int((facts.now - moment) / 86_400e9)


def _owner(facts: Facts, name: str) -> str | None:
    return next((card.owner for card in facts.tools if card.name == name), None)


def _card_tokens(card: ToolCard) -> int:
    text = f"{card.name} {card.description} {json.dumps(dict(card.parameters), ensure_ascii=False)}"
    return count_tokens(text, "")
