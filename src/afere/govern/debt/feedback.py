"""Inadequate feedback: how much of what people ask is judged by anyone, how fresh that is, and what becomes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeVar

from afere.base.clock import from_rfc3339, rfc3339
from afere.base.score import Score
from afere.evals.spread import ABOUT_JUDGING
from afere.evals.stats import wilson
from afere.govern.debt.facts import DAY, Facts, Ran
from afere.govern.debt.finding import Cost, Finding
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.topics import centre, dot, groups, linked, worded

_EVIDENCE = 5
_SAMPLE = 1_500  # requests of which topics are made, spread evenly over the window
_LINKED = 400  # requests like no case of which topics are made, which takes the square of their number
# In questions of three trades and three languages that were looked at, topics without cases were told from those with some best by
# these; numbers half as strict or a tenth higher find the same or one less.
_TOGETHER = 0.28  # how alike requests of one topic are on average
_SAME_WORDING = 0.8
_SEVERAL = 3  # ways to ask, from which the centre of a topic can be trusted
_FAR = 0.1  # how much farther from every case the centre of fewer must be
_T = TypeVar("_T")
_DEEDS = ("approval", "seen", "question", "answer", "assigned")  # what people record that is no judgement of an answer
_BAD = ("down", "bad", "wrong", "negative", "no", "fail", "thumbs_down", "thumbs-down")


def findings(facts: Facts) -> Iterator[Finding]:
    """Every finding of the rules `feedback.*`."""
    likeness = Likeness()
    yield from low_coverage(facts, likeness)
    yield from stale(facts)
    yield from unanswered(facts)
    yield from unused_labels(facts)
    yield from uncalibrated_judges(facts)
    yield from narrow_evaluations(facts, likeness)


def feedback(facts: Facts) -> list[Score]:
    """What people, users or colleagues, said of answers."""
    return [score for score in facts.by_people if score.name not in _DEEDS]


def low_coverage(facts: Facts, likeness: Likeness) -> Iterator[Finding]:
    """Hardly any traffic has feedback; or a topic with much traffic has none at all."""
    rule = facts.rules["feedback.low-coverage"]
    roots = _requests(facts)
    if len(roots) < rule["requests"]:
        return
    judged = {score.target.partition("/")[0] for score in feedback(facts)}
    covered = sum(span.trace in judged for span in roots)
    if covered / len(roots) < rule["share"]:
        yield Finding(
            rule.id, rule.severity, facts.project.name,
            f"{covered} of {len(roots):,} requests have feedback of anyone ({covered / len(roots):.2%}).",
            "ask where the answer is read: two buttons that POST to /scores with the trace id "
            "(afere.score(trace_id, \"helpful\", True, by=\"user:ID\"))",
            tuple(span.trace for span in roots[-3:]), rfc3339(roots[0].start), Cost(calls=len(roots) - covered),
        )  # fmt: skip
        return
    for text, members in _topics(roots, likeness, 0.5):
        share = len(members) / min(len(roots), _SAMPLE)
        if share >= 0.1 and len(members) >= 50 and not any(span.trace in judged for span in members):
            yield Finding(
                rule.id, rule.severity, f"topic: {text[:60]}",
                f"{share:.0%} of the requests are like {text[:80]!r}, and none of them has feedback.",
                "ask for feedback on these answers, or review ten of them yourself",
                tuple(span.trace for span in members[-_EVIDENCE:]), members[0].day, Cost(calls=len(members)),
            )  # fmt: skip


def stale(facts: Facts) -> Iterator[Finding]:
    """There was feedback once, and there is none of the recent traffic."""
    rule = facts.rules["feedback.stale"]
    said = feedback(facts)
    if not said:
        return
    newest = max(score.at for score in said)
    since = [span for span in _requests(facts) if span.start > from_rfc3339(newest)]
    age = (facts.now - from_rfc3339(newest)) / DAY
    if age < rule["days"] or len(since) < rule["requests"]:
        return
    yield Finding(
        rule.id, rule.severity, facts.project.name,
        f"the newest feedback is {age:.0f} days old; {len(since):,} requests came since.",
        "check that the buttons still reach /scores; review some answers of this week meanwhile: afere traces since:7d",
        tuple(span.trace for span in since[-3:]), newest, Cost(calls=len(since)),
    )  # fmt: skip


def unanswered(facts: Facts) -> Iterator[Finding]:
    """Bad feedback of users that no person of the project took up within so many days."""
    rule = facts.rules["feedback.unanswered"]
    handled = {score.target for score in facts.scores if score.by.startswith("person:")}
    handled |= {score.target.partition("/")[0] for score in facts.scores if score.by.startswith("person:")}
    kept = {case.row for case in facts.cases}
    waiting = [
        score for score in facts.scores
        if score.by.startswith("user:") and bad(score) and score.id not in handled
        and score.target.partition("/")[0] not in handled | kept
        and (facts.now - from_rfc3339(score.at)) / DAY >= rule["days"]
    ]  # fmt: skip
    if len(waiting) < rule["count"]:
        return
    waiting.sort(key=lambda score: score.at)
    words = next((score.why for score in waiting if score.why), "")
    yield Finding(
        rule.id, rule.severity, facts.project.name,
        f"{len(waiting)} complaints of users wait for more than {rule['days']:.0f} days, the oldest since {waiting[0].at[:10]}"
        + (f": {words[:100]!r}" if words else "."),
        f"look at the oldest: afere show {waiting[0].target.partition('/')[0]}; then record what became of it: "
        f"afere score {waiting[0].id} answer TEXT --by person:YOU",
        tuple(dict.fromkeys(score.target for score in waiting))[:_EVIDENCE], waiting[0].at,
        Cost(calls=len(waiting), failures=len(waiting)),
    )  # fmt: skip


def bad(score: Score) -> bool:
    """Whether a score of a user is a complaint: false, zero or less, the lowest of five, or a word that says so."""
    value = score.value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value <= 0 or (value <= 2 and score.name in ("rating", "stars"))
    return isinstance(value, str) and value.lower() in _BAD


def unused_labels(facts: Facts) -> Iterator[Finding]:
    """Judgements that nothing was made of: no row of a suite stands for the answer, and no judge scored it too."""
    rule = facts.rules["feedback.unused-labels"]
    judged = {(score.target, score.name) for score in facts.scores if score.by.startswith("judge:")}
    rows = {case.row for case in facts.cases} | {case.text.strip() for case in facts.cases}
    asked = {span.trace: span.given.strip() for span in facts.roots}
    idle: dict[str, list[Score]] = defaultdict(list)
    for score in feedback(facts):
        trace = score.target.partition("/")[0]
        old = (facts.now - from_rfc3339(score.at)) / DAY >= rule["days"]
        used = (score.target, score.name) in judged or trace in rows or asked.get(trace, "") in rows
        if old and not used and len(trace) == 32:
            idle[score.name].append(score)
    for name, scores in idle.items():
        if len(scores) < rule["count"]:
            continue
        scores.sort(key=lambda score: score.at)
        yield Finding(
            rule.id, rule.severity, name,
            f"{len(scores)} labels called {name} are in no suite, and no judge is held against them.",
            "make rows of the answers that people called bad, or calibrate the judge of the same name: afere labels",
            tuple(dict.fromkeys(score.target for score in scores))[:_EVIDENCE], scores[0].at, Cost(calls=len(scores)),
        )  # fmt: skip


def uncalibrated_judges(facts: Facts) -> Iterator[Finding]:
    """Judges that scored answers, too few of which a person scored by the same name."""
    rule = facts.rules["feedback.uncalibrated-judge"]
    people: dict[str, set[str]] = defaultdict(set)
    judges: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for score in facts.scores:
        if score.value is None or score.name.endswith(ABOUT_JUDGING):
            continue
        if score.by.startswith("person:"):
            people[score.name].add(facts.item(score.target))
        elif score.by.startswith("judge:"):
            judges[score.by.partition("@")[0], score.name].append(score)
    for (judge, name), scores in judges.items():
        both = {facts.item(score.target) for score in scores} & people[name]
        if len(both) >= rule["items"]:
            continue
        yield Finding(
            rule.id, rule.severity, judge,
            f"it gave {len(scores):,} verdict{'s' * (len(scores) != 1)} of {name}, and people scored {len(both)} of the same items: nobody knows whether it is right.",
            f"label {rule['items']:.0f} or more of what it judged, drawn at random, and read the agreement: afere labels",
            tuple(dict.fromkeys(score.target for score in scores))[:_EVIDENCE], min(score.at for score in scores),
            Cost(calls=len(scores)),
        )  # fmt: skip


def narrow_evaluations(facts: Facts, likeness: Likeness) -> Iterator[Finding]:
    """Topics with much traffic that no case of any suite resembles.

    Of the requests that are like no case, those that lie together are a topic; it counts by its centre, which says better than any
    one request what they are about, and only with several wordings, or where it is far from every case.
    """
    rule = facts.rules["feedback.narrow-evals"]
    roots = [span for span in _requests(facts) if span.given]
    if len(roots) < rule["requests"] or not facts.cases:
        return
    sample = _evenly(roots, _SAMPLE)
    kept = [worded(case.text) for case in facts.cases if case.text]
    cases = likeness.vectors(kept)
    alike: dict[str, list[Ran]] = defaultdict(list)
    for span in sample:
        alike[worded(span.given)].append(span)
    near = dict(zip(alike, likeness.vectors(list(alike)), strict=True))
    far = zip(alike, likeness.nearest(list(alike), kept), strict=True)
    apart = [text for text, nearest in far if nearest < rule["likeness"]]
    looked = _evenly(apart, _LINKED)
    vectors, weights = [near[text] for text in looked], [len(alike[text]) for text in looked]
    for group in linked(vectors, weights, _TOGETHER):
        own, count = [vectors[i] for i in group], sum(weights[i] for i in group)
        share = count / len(sample) * len(apart) / len(looked)
        low, high = (edge * len(apart) / len(looked) for edge in wilson(count, len(sample)))
        if low < rule["share"]:  # groups come largest first, by weight
            break
        middle = centre(own, [weights[i] for i in group])
        nearest = max((dot(middle, one) for one in cases), default=0.0)
        if nearest >= (rule["likeness"] if _wordings(own) >= _SEVERAL else rule["likeness"] - _FAR):
            continue
        members = sorted((span for i in group for span in alike[looked[i]]), key=lambda span: span.start)
        text = members[-1].given
        yield Finding(
            rule.id, rule.severity, f"topic: {text[:60]}",
            f"{share:.0%} of the requests (95% interval {low:.0%} to {high:.0%}) are like {text[:80]!r}; the nearest of {len(facts.cases)} evaluation cases is not (likeness {nearest:.2f}).",
            f"add cases of this topic to a suite, such as the input of {members[-1].trace}: afere show {members[-1].trace}",
            tuple(span.trace for span in members[-_EVIDENCE:]), members[0].day, Cost(calls=count),
        )  # fmt: skip


def _wordings(vectors: Sequence[Sequence[float]]) -> int:
    """How many ways to ask there are among texts of one topic: those that are not nearly the same."""
    kinds: list[Sequence[float]] = []
    for one in vectors:
        if all(dot(one, known) < _SAME_WORDING for known in kinds):
            kinds.append(one)
    return len(kinds)


def _evenly(items: Sequence[_T], most: int) -> Sequence[_T]:
    """So many of them at most, spread evenly."""
    return items if len(items) <= most else [items[i * len(items) // most] for i in range(most)]


def _requests(facts: Facts) -> list[Ran]:
    """What users asked: the first span of each trace, where it is a request and not a lone tool or step."""
    return [span for span in facts.roots if span.kind in ("chain", "agent", "llm", "step")]


def _topics(roots: Sequence[Ran], likeness: Likeness, least: float) -> list[tuple[str, list[Ran]]]:
    """(an example, its requests) of each topic, the largest first."""
    asked = [span for span in roots if span.given]
    sample = _evenly(asked, _SAMPLE)
    return [
        (sample[members[0]].given, [sample[i] for i in members])
        for members in groups([span.given for span in sample], likeness, least)
    ]
