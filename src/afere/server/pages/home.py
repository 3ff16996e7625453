"""Home: is the application healthy? First the whole, then its components, then the latest experiments and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from afere.base.clock import now_ns, rfc3339
from afere.base.errors import BadInput
from afere.base.span import Span, totals
from afere.evals.bakeoff.text import called
from afere.evals.records import is_record
from afere.evals.stability.report import said_of, stability_record
from afere.evals.stats import Estimate, clustered_mean, clustered_rate, quantile
from afere.evals.stats.decide import FEW
from afere.server import figures, words
from afere.server.pages.asked import Asked
from afere.server.pages.over import drawn, slots_of
from afere.server.pages.summary import Judged, Summary, summaries

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.base.score import Score
    from afere.store import Session
    from afere.store.spans.listing import Run

WINDOWS = {"1h": 3600, "24h": 86_400, "7d": 7 * 86_400, "30d": 30 * 86_400}
_COUNTED = 50_000  # newest requests that the figures are over
_LOOKED = 200_000  # spans that are looked through where evaluations are among them; of more, the newest:
_SPANS = 5000
_SCORED = 1000  # newest scores, likewise
_EVALUATED = 5000  # newest runs of evaluations: those of judges are among them, and have no score
_FEW = 8
_LIVE = "-environment:evaluation -environment:playground"  # what evaluations and tries by hand run is apart


@dataclass(frozen=True, slots=True)
class Component:
    """Spans of one name and kind in the window. Times are of single spans, in seconds; cost in dollars."""

    name: str
    kind: str
    calls: int
    errors: int
    p95: float | None
    cost: float | None

    @property
    def error_share(self) -> float:
        return self.errors / self.calls


@dataclass(frozen=True, slots=True)
class Quality:
    """Scores of one name in the window: the share of yes, or the mean, with its 90% interval."""

    name: str
    estimate: Estimate
    missing: int
    share: bool
    figure: figures.Interval | None


@dataclass(frozen=True, slots=True)
class Latest:
    """An artifact that was made lately, with the answer it holds if it is a decision."""

    artifact: Artifact
    answer: str
    text: str
    page: str = ""  # of a report that has one: where, and what it is called
    title: str = ""


@dataclass(frozen=True, slots=True)
class HomePage:
    """`requests` are the first spans of traces; `more`: there were more, and the figures are over the newest.

    Rows of evaluations and their judges are apart: `evaluated` of them, at least. `more_spans`: cost and components are of
    the newest spans alone.
    """

    over: str
    evaluated: int
    requests: int
    more: bool
    failed: int
    error_rate: Estimate
    p50: float | None
    p95: Estimate
    cost: float | None
    more_spans: bool
    spark: figures.Spark | None
    chart: figures.Histogram | None
    qualities: tuple[Quality, ...]
    components: tuple[Component, ...]
    traces: tuple[Summary, ...]
    experiments: tuple[Latest, ...]
    decisions: tuple[Latest, ...]
    reports: tuple[Latest, ...]  # bake-offs, sweeps and stability runs
    lost: int
    ever: bool
    windows: tuple[str, ...] = (*WINDOWS, "all")

    @property
    def empty(self) -> bool:
        """Nothing was kept in this project yet."""
        return not (self.ever or self.experiments or self.decisions or self.reports)

    @property
    def time(self) -> str:
        """The window in words."""
        return {
            "1h": "in the last hour",
            "24h": "in 24 hours",
            "7d": "in 7 days",
            "30d": "in 30 days",
            "all": "so far",
        }[self.over]

    @property
    def title(self) -> str:
        if not self.requests:
            return f"No requests {self.time}"
        return (
            f"{self.failed:,} of {words.many(self.requests, 'request')} failed"
            if self.failed
            else f"{words.many(self.requests, 'request')}, none failed"
        )

    @property
    def verdict(self) -> str:
        """What is known, with the interval that says how well."""
        apart = ""
        if self.evaluated:
            most = " (or more)" if self.evaluated == _COUNTED else ""
            apart = f" {words.many(self.evaluated, 'run')}{most} of evaluations not counted."
        if not self.requests:
            return f"Older ones are in the list of traces; a wider window is on the right.{apart}"
        rate = self.error_rate
        parts = [f"{'The newest ' if self.more else ''}{words.many(self.requests, 'request')} {self.time}"]
        if rate.low is not None and rate.high is not None:
            parts.append(
                f"{words.percent(rate.value)} failed ({words.percent(rate.low)} to {words.percent(rate.high)}, 90% interval)"
            )
        if self.p95.value is not None and self.requests >= 20:
            parts.append(f"19 of 20 took at most {words.seconds(self.p95.value)}")
        return "; ".join(parts) + "." + apart


def page(session: Session, asked: Asked) -> HomePage:
    """The health of the project over `?over=`; unless told, the shortest window from a day up that has requests."""
    over = asked.get("over") or _window(session)
    if over not in (*WINDOWS, "all"):
        raise BadInput(f"over={over!r}: one of {', '.join(WINDOWS)} or all.")
    since = f"since:{over}" if over in WINDOWS else ""
    requests = session.spans.runs(f"{since} {_LIVE}", limit=_COUNTED + 1)
    more, requests = len(requests) > _COUNTED, requests[:_COUNTED]
    evaluated = _evaluations(session, since)
    timed = [(run.seconds, _whose(nth, run)) for nth, run in enumerate(requests) if run.seconds is not None]
    seconds, whose = [took for took, _ in timed], [one for _, one in timed]
    failed = sum(run.status == "error" for run in requests)
    tried = cast("int", session.spans.stats(f"{since} environment:playground")[0]["count"])
    cost, components, cut = _components(session, since, evaluated or tried)
    start = now_ns() - WINDOWS[over] * 10**9 if over in WINDOWS and not more else None
    return HomePage(
        over, evaluated, len(requests), more, failed,
        clustered_rate([float(run.status == "error") for run in requests], [_whose(*one) for one in enumerate(requests)]),
        quantile(seconds, 0.5).value, quantile(seconds, 0.95, clusters=whose), cost, cut,
        _spark(requests, start), _chart(requests, start), _qualities(session, over), components,
        summaries(session, session.spans.find(f"{since} {_LIVE}", limit=_FEW, brief=True).items),
        _latest(session, "experiment"), _latest(session, "decision"), _latest(session, "report"),
        sum(loss.count for loss in session.spans.losses()), bool(requests) or bool(session.spans.find(limit=1, brief=True).items),
    )  # fmt: skip


def _evaluations(session: Session, since: str) -> int:
    """How many runs of evaluations there are, at most what is counted; where counts by hour know of none, none are looked for."""
    asked = f"{since} environment:evaluation"
    known = session.spans.stats(asked)[0]["count"]
    return len(session.spans.runs(asked, limit=_COUNTED)) if known else 0


def _whose(nth: int, run: Run) -> str | int:
    """What is independent of each other: sessions, else users, else single requests."""
    return run.session or run.user or nth


def _window(session: Session) -> str:
    return next(
        (
            over
            for over in ("24h", "7d", "30d")
            if session.spans.find(f"since:{over} {_LIVE}", limit=1, brief=True).items
        ),
        "all",
    )


def _components(session: Session, since: str, apart: int) -> tuple[float | None, tuple[Component, ...], bool]:
    """What all cost, spans by name and kind (the most frequent first), and whether these are of the newest alone.

    A window that holds none of what is `apart` is read from the counts by hour. They do not tell it apart, so where there
    is some the spans are looked through, or where those would be too many, the newest.
    """
    if apart and int(str(session.spans.stats(since)[0]["count"])) > _LOOKED:
        return _newest(session, since)
    asked = f"{since} {_LIVE}" if apart else since
    rows = session.spans.stats(asked, by=("name", "kind"))
    whole = session.spans.stats(asked)[0]
    found = tuple(
        Component(
            str(row["name"]), str(row["kind"]), cast("int", row["count"]), cast("int", row["errors"]),
            cast("float | None", row["p95_seconds"]), cast("float | None", row["cost"]),
        )
        for row in sorted(rows, key=lambda row: -cast("int", row["count"]))[: 2 * _FEW]
    )  # fmt: skip
    return cast("float | None", whole["cost"]), found, False


def _newest(session: Session, since: str) -> tuple[float | None, tuple[Component, ...], bool]:
    spans = session.spans.find(f"{since} {_LIVE}", limit=_SPANS, roots=False)
    named: dict[tuple[str, str], list[Span]] = {}
    for span in spans.items:
        named.setdefault((span.name, span.kind), []).append(span)
    found: list[Component] = []
    for (name, kind), own in named.items():
        seconds = [span.seconds for span in own if span.seconds is not None]
        costs = [span.cost for span in own if span.cost is not None]
        failed = sum(span.status == "error" for span in own)
        p95 = quantile(seconds, 0.95).value
        found.append(Component(name, kind, len(own), failed, p95, sum(costs) if costs else None))
    ordered = tuple(sorted(found, key=lambda one: -one.calls)[: 2 * _FEW])
    return totals(spans.items).cost, ordered, spans.next is not None


def _spark(requests: Sequence[Run], since: int | None) -> figures.Spark | None:
    """Requests in 24 slots of the window."""
    if len(requests) < 2:
        return None
    first, last = since or requests[-1].start, now_ns()
    slots = [0.0] * 24
    for span in requests:
        slots[min(max((span.start - first) * 24 // max(last - first, 1), 0), 23)] += 1
    return figures.spark(slots)


def _chart(requests: Sequence[Run], since: int | None) -> figures.Histogram | None:
    """Requests over the window; None for fewer than two."""
    if len(requests) < 2:
        return None
    first, last = since or requests[-1].start, now_ns()
    return drawn(slots_of(requests, first, last), first, last)


def _qualities(session: Session, over: str) -> tuple[Quality, ...]:
    """What was said of traces lately, by name of the score."""
    since = now_ns() - WINDOWS[over] * 10**9 if over in WINDOWS else 0
    named: dict[str, list[Score]] = {}
    evaluated = _evaluated(session, since)
    for score in session.find("scores", limit=_SCORED).items:
        of_trace = ":" not in score.target  # not of an artifact
        if of_trace and _ns(score.at) >= since and score.target.partition("/")[0] not in evaluated:
            named.setdefault(score.name, []).append(score)
    found = [_quality(name, scores) for name, scores in sorted(named.items())]
    return tuple(one for one in found if one is not None)[:_FEW]


def _evaluated(session: Session, since: int) -> set[str]:
    """The newest runs of evaluations: what their scorers say is in the experiments, case by case."""
    begun = f" since:{rfc3339(since)}" if since else ""
    return {
        one.trace_id for one in session.spans.find(f"environment:evaluation{begun}", limit=_EVALUATED, brief=True).items
    }


def _ns(at: str) -> int:
    there = words.moment(at)
    return int(there.timestamp() * 1e9) if there else 0


def _quality(name: str, scores: Sequence[Score]) -> Quality | None:
    judged = [(score, Judged(score).answer) for score in scores]
    missing = sum(score.value is None for score in scores)
    yes = [(float(answer == "pass"), score.target) for score, answer in judged if answer in ("pass", "fail")]
    numbers = [
        (float(score.value), score.target)
        for score, answer in judged
        if isinstance(score.value, int | float) and not answer
    ]
    known, share = (yes, True) if yes else (numbers, False)
    if not known:
        return None
    values, targets = [value for value, _ in known], [target.partition("/")[0] for _, target in known]
    estimate = (clustered_rate if share else clustered_mean)(values, targets)
    figure = None
    if estimate.value is not None and estimate.low is not None and estimate.clusters >= FEW:
        figure = figures.interval(estimate.value, estimate.low, estimate.high)
    return Quality(name, estimate, missing, share, figure)


def _latest(session: Session, kind: str) -> tuple[Latest, ...]:
    return tuple(_described(artifact) for artifact in session.find("artifacts", kind=kind, limit=5).items)


def _described(artifact: Artifact) -> Latest:
    content = artifact.content if isinstance(artifact.content, dict) else {}
    answer = content.get("answer")
    rules = content.get("rules")
    number = artifact.name
    if is_record(artifact, "bakeoff"):
        said = cast("dict[str, str]", content["recommendation"])["say"]
        return Latest(artifact, "", f"{content['name']}: {said}", f"bakeoffs/{number}", f"{called(content)} {number}")
    if is_record(artifact, "stability"):
        text = f"{content['name']}: {said_of(stability_record(artifact))}"
        return Latest(artifact, str(answer or ""), text, f"stability/{number}", f"stability {number}")
    if is_record(artifact, "blame"):
        before, after = (str(content[side]).partition(":")[2] for side in ("before", "after"))
        return Latest(artifact, "", str(content["says"]), f"compare/{before}/{after}#blame", f"blame {number}")
    text = (
        f"{words.many(len(rules), 'rule')} over {content.get('subject')}" if isinstance(rules, list) else artifact.why
    )
    return Latest(artifact, answer if answer in ("pass", "fail", "open") else "", text)
