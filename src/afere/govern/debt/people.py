"""Stakeholder engagement: who looks at answers, who lets releases out, and whose questions wait."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from afere.base.artifact import AliasMove
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.score import Score
from afere.govern.debt.facts import DAY, Facts
from afere.govern.debt.finding import Cost, Finding

_DEED = ("approval", "seen", "question", "answer")  # scores by people that are no judgement of an answer


def findings(facts: Facts) -> Iterator[Finding]:
    """Every finding of the rules `people.*`."""
    yield from no_review(facts)
    yield from single_reviewer(facts)
    yield from no_approval(facts)
    yield from unanswered_questions(facts)
    yield from unseen_releases(facts)


def reviews(facts: Facts) -> list[Score]:
    """Judgements of answers by people of the project (not end users)."""
    return [score for score in facts.scores if score.by.startswith("person:") and score.name not in _DEED]


def no_review(facts: Facts) -> Iterator[Finding]:
    """Traffic of which no person judged an answer for so many days."""
    rule = facts.rules["people.no-review"]
    since = facts.days_ago(rule["days"])
    recent = [span for span in facts.roots if span.start >= since]
    if len(recent) < rule["requests"]:
        return
    newest = max((score.at for score in reviews(facts)), default=None)
    if newest is not None and from_rfc3339(newest) >= since:
        return
    last = f"the last review is of {newest[:10]}" if newest else "nobody ever reviewed one"
    yield Finding(
        rule.id, rule.severity, facts.project.name,
        f"{len(recent)} requests in {rule['days']:.0f} days, and {last}.",
        "read ten answers and judge them: afere traces, then afere score TRACE review good --by person:YOU",
        tuple(span.trace for span in recent[-3:]), newest or rfc3339(recent[0].start), Cost(calls=len(recent)),
    )  # fmt: skip


def single_reviewer(facts: Facts) -> Iterator[Finding]:
    """Nearly all judgements come from one person."""
    rule = facts.rules["people.single-reviewer"]
    found = reviews(facts)
    by = Counter(score.by for score in found)
    if len(found) < rule["reviews"]:
        return
    who, count = by.most_common(1)[0]
    if count / len(found) < rule["share"]:
        return
    yield Finding(
        rule.id, rule.severity, who,
        f"{count} of {len(found)} reviews are by {who.removeprefix('person:')} alone.",
        "ask a second person to review twenty of the same answers, and look at their agreement: afere labels",
        tuple(dict.fromkeys(score.target for score in found if score.by == who))[:5],
        min(score.at for score in found), Cost(calls=count),
    )  # fmt: skip


def no_approval(facts: Facts) -> Iterator[Finding]:
    """Aliases that users meet, pointing where nobody but the author let them point."""
    rule = facts.rules["people.no-approval"]
    approvals: dict[str, list[Score]] = defaultdict(list)
    for score in facts.scores:
        if score.name == "approval" and score.value not in (False, None) and score.by.startswith("person:"):
            approvals[score.target].append(score)
    for move in _live(facts):
        author, target = facts.authors.get(move.to or ""), move.to or ""
        others = [
            score for score in approvals.get(target, ()) if score.by not in (author, move.by) and score.at <= move.at
        ]
        if others or (author and move.by not in (author, "person:local") and move.by.startswith("person:")):
            continue  # somebody else approved it, or put it there
        own = approvals.get(target)
        late = [score for score in own or () if score.at > move.at and score.by != author]
        said = (
            "approved only after it was live" if late else f"approved only by {own[0].by}, who made it" if own else "approved by nobody"
        )  # fmt: skip
        yield Finding(
            rule.id, rule.severity, f"{move.ref}@{move.alias}",
            f"{target} went live on {move.at[:10]}, moved by {move.by}, {said}.",
            f"have somebody else look at it and record it: afere score {target} approval yes --by person:NAME; and ask for it "
            f"from now on: aliases: {{{move.alias}: {{protected: true, approvals: 1}}}} in afere.yaml",
            (target,), move.at, owner=move.by,
        )  # fmt: skip


def unanswered_questions(facts: Facts) -> Iterator[Finding]:
    """Questions of people that nobody answered for so many days."""
    rule = facts.rules["people.unanswered-question"]
    answered = {score.target for score in facts.scores if score.name == "answer"}
    for score in facts.scores:
        waited = (facts.now - from_rfc3339(score.at)) / DAY
        if score.name != "question" or score.id in answered or waited < rule["days"]:
            continue
        to = score.data.get("to")
        text = str(score.why or score.value or "")
        yield Finding(
            rule.id, rule.severity, score.target,
            f"{score.by.partition(':')[2]} asked{f' {to}' if to else ''} {waited:.0f} days ago: {text[:120]!r}. Nobody answered.",
            f"answer it: afere score {score.id} answer TEXT --by person:YOU",
            (score.id,), score.at, owner=str(to) if to else None,
        )  # fmt: skip


def unseen_releases(facts: Facts) -> Iterator[Finding]:
    """Releases that nobody but who made them has recorded having seen."""
    rule = facts.rules["people.unseen-release"]
    seen: dict[str, set[str]] = defaultdict(set)
    for score in facts.scores:
        if score.name in ("seen", "approval") and score.by.startswith("person:"):
            seen[score.target].add(score.by)
    for move in _live(facts):
        waited = (facts.now - from_rfc3339(move.at)) / DAY
        by = seen.get(move.to or "", set()) | seen.get(f"{move.ref}@{move.alias}", set())
        if waited < rule["days"] or by - {facts.authors.get(move.to or ""), move.by}:
            continue
        yield Finding(
            rule.id, rule.severity, f"{move.ref}@{move.alias}",
            f"{move.to} is live since {move.at[:10]}, and nobody but {move.by} recorded having seen it.",
            f"tell those whom it concerns, and let them say so: afere score {move.to} seen yes --by person:NAME",
            (move.to or "",), move.at, owner=move.by,
        )  # fmt: skip


def _live(facts: Facts) -> Sequence[AliasMove]:
    """The newest move of every alias that users meet: all that are protected, or called production, live or stable.

    One that came with an import was released elsewhere, by the rules there; it counts where the project protects the alias.
    """
    rules = facts.project.section("aliases")
    public = {name for name, said in rules.items() if isinstance(said, dict) and said.get("protected")}
    newest: dict[tuple[str, str], AliasMove] = {}
    for move in facts.moves:
        if move.alias in public | {"production", "prod", "live", "stable"}:
            known = newest.get((move.ref, move.alias))
            if known is None or move.at > known.at:
                newest[move.ref, move.alias] = move
    return [move for move in newest.values() if move.to is not None and (move.alias in public or not move.brought)]
