"""A trace in one line, as lists and the head of its page show it; and a score with the answer that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.score import Score, Value
from afere.base.span import Span, Status, Totals
from afere.server import words
from afere.store.spans.joining import died

if TYPE_CHECKING:
    from afere.store import Session

Answer = Literal["", "pass", "fail", "open"]
State = Status | Literal["died"]
_SCORES = 200  # of one trace
_TALK = frozenset({"comment", "assigned"})  # names of scores that are no judgement
_YES, _NO = {"pass", "yes", "up", "good", "true"}, {"fail", "no", "down", "bad", "false"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A score. `answer`: what a verdict says; a plain number or a word of its own says none."""

    score: Score

    @property
    def name(self) -> str:
        return self.score.name

    @property
    def value(self) -> Value:
        return self.score.value

    @property
    def answer(self) -> Answer:
        value = self.score.value
        if value is None:
            return "open"
        if isinstance(value, str):
            return "pass" if value.lower() in _YES else "fail" if value.lower() in _NO else ""
        if isinstance(value, bool):
            return "pass" if value else "fail"
        return ""

    def to_json(self) -> Json:
        return self.score.to_json()


def newest(scores: Sequence[Score]) -> tuple[Judged, ...]:
    """Of the same target, name and judge, the newest one; `scores` are newest first."""
    seen: dict[tuple[str, str, str], Score] = {}
    for score in scores:
        seen.setdefault((score.target, score.name, score.by), score)
    return tuple(Judged(score) for score in sorted(seen.values(), key=lambda score: (score.name, score.by)))


def state_of(span: Span, root: Span | None = None) -> State:
    """How a span stands. Only the root of a trace says whose process runs it: with it died what still runs below."""
    if span.status != "running":
        return span.status
    return "died" if died(span) or (root is not None and died(root)) else "running"


@dataclass(frozen=True, slots=True)
class Talk:
    """What people say to each other about a trace, oldest first, and who is to look at it."""

    comments: tuple[Score, ...] = ()
    assigned: Score | None = None

    def to_json(self) -> dict[str, Json]:
        return {
            "comments": [comment.to_json() for comment in self.comments],
            "assigned": self.assigned.value if self.assigned else None,
        }


def talk(scores: Sequence[Score]) -> Talk:
    """From scores, newest first: comments are all kept, of assignments the newest counts, and an empty one ends it."""
    comments = tuple(reversed([score for score in scores if score.name == "comment"]))
    newest_one = next((score for score in scores if score.name == "assigned"), None)
    return Talk(comments, newest_one if newest_one and newest_one.value else None)


@dataclass(frozen=True, slots=True)
class Summary:
    """What `api` calls a trace, without its spans."""

    root: Span
    project: str
    totals: Totals
    scores: tuple[Judged, ...]
    talk: Talk = field(default_factory=Talk)

    @property
    def chain(self) -> str | None:
        """The revision of the chain that ran."""
        return next((ref for ref, _ in self.root.artifacts if ref.startswith("chain:")), None)

    @property
    def state(self) -> State:
        return state_of(self.root)

    @property
    def tokens(self) -> int | None:
        """In and out; None where no call said."""
        known = [count for count in (self.totals.input_tokens, self.totals.output_tokens) if count is not None]
        return sum(known) if known else None

    @property
    def asked(self) -> str:
        """What went in, as text; the name where nothing was kept."""
        return words.glance(self.root.input)[:300] or self.root.name

    @property
    def answered(self) -> str:
        """What came out, as text."""
        return words.glance(self.root.output)[:300]

    def to_json(self) -> dict[str, Json]:
        root = self.root
        return {
            "trace_id": root.trace_id, "project": self.project, "name": root.name, "start": rfc3339(root.start),
            "seconds": root.seconds, "status": self.state, "error": error_of(root), "input": root.input, "output": root.output,
            "session": root.session, "user": root.user, "environment": root.environment, "chain": self.chain,
            "totals": self.totals.to_json(), "scores": [score.to_json() for score in self.scores], **self.talk.to_json(),
        }  # fmt: skip


def error_of(root: Span) -> str | None:
    """Why it failed, or that nobody is left to end it."""
    return root.error or ("the process that ran it is gone" if state_of(root) == "died" else None)


def summaries(session: Session, roots: Sequence[Span]) -> tuple[Summary, ...]:
    """The traces that these spans begin, with their sums and scores."""
    traces = [root.trace_id for root in roots]
    totals, scores = session.spans.totals(traces), session.scores_of(traces, most=_SCORES)
    return tuple(_summary(session, root, totals[root.trace_id], scores.get(root.trace_id, [])) for root in roots)


def summary(session: Session, root: Span, totals: Totals) -> Summary:
    """One trace with all that was said of it and of its spans."""
    scores = session.scores_of([root.trace_id], most=_SCORES)
    return _summary(session, root, totals, scores.get(root.trace_id, []))


def _summary(session: Session, root: Span, totals: Totals, said: Sequence[Score]) -> Summary:
    if not said:  # most, in a long list
        return Summary(root, session.project, totals, (), _SILENCE)
    judged = newest([score for score in said if score.name not in _TALK])
    return Summary(root, session.project, totals, judged, talk(said))


_SILENCE = Talk()
