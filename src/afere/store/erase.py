"""Erasing what is known of a subject: afterwards its bytes are in no file of the store, and the audit log is still sound."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from sqlite3 import Connection

from afere.base.canonical import Json, digest
from afere.base.errors import BadInput, BadReference
from afere.store import audit, scores
from afere.store.audit import Stamp
from afere.store.session import Session

_COLUMNS = {"user": "user", "session": "session", "trace": "trace_id"}


@dataclass(frozen=True, slots=True)
class Erased:
    """How much was erased, or would be."""

    subject: str
    traces: int
    spans: int
    scores: int
    blobs: int

    def to_json(self) -> Json:
        return {
            "subject": self.subject, "traces": self.traces, "spans": self.spans, "scores": self.scores, "blobs": self.blobs,
        }  # fmt: skip


def erase(session: Session, subject: str, *, try_only: bool = False) -> Erased:
    """Erase all traces of `user:ID`, `session:ID` or `trace:ID`, and the scores of these traces and by that user.

    Counts of statistics stay, as numbers. The cache of answers is cleared, because nobody can tell whose they are. Blobs that
    only these traces mention become tombstones. `spans.db` and `afere.db` are rewritten, so that what was deleted is not
    left in free pages: that needs as much free disk as they take, and other processes wait meanwhile.
    """
    column, value = _read(subject)
    traces = session.spans.traces_of(column, value)
    judged = _scores(session, subject, traces)
    if try_only:
        return Erased(subject, len(traces), session.spans.count(traces), len(judged), 0)
    mentioned = {name for name in session.spans.digests_in(traces) if session._blobs.path(name).exists()}
    with session._change() as (connection, stamp):  # first: the scores of traces that are gone could not be found again
        _erase_scores(connection, stamp, subject, judged, len(traces))
    gone = session.spans.erase(traces)
    session.cache.clear()
    alone = mentioned - session.spans.still_mentioned(mentioned) - _named(session, mentioned)
    for name in alone:
        session._blobs.bury(name)
    session._database.scrub()
    return Erased(subject, len(traces), gone, len(judged), len(alone))


def _read(subject: str) -> tuple[str, str]:
    kind, _, value = subject.partition(":")
    if kind not in _COLUMNS or not value:
        raise BadInput(f"{subject!r} is not a subject: write user:ID, session:ID or trace:ID.")
    if kind == "trace" and re.fullmatch("[0-9a-f]{32}", value) is None:
        raise BadReference(f"{value!r} is not a trace: give all of its 32 hex digits.")
    return _COLUMNS[kind], value


def _scores(session: Session, subject: str, traces: list[str]) -> list[str]:
    """Ids of the scores by the subject, and of those of its traces and their spans."""
    known = set(traces)
    with session._database.read() as connection:
        rows = connection.execute("SELECT id, target, by FROM scores WHERE project = ?", (session.project,))
        return [row["id"] for row in rows if row["by"] == subject or row["target"].partition("/")[0] in known]


def _erase_scores(connection: Connection, stamp: Stamp, subject: str, ids: list[str], traces: int) -> None:
    facts = [
        [fact[2], fact[3]] for fact in scores.facts(connection) if fact[0] == stamp.project and fact[2] in set(ids)
    ]
    connection.executemany(
        "DELETE FROM scores WHERE project = ? AND id = ?", [(stamp.project, score_id) for score_id in ids]
    )
    connection.executemany(
        "DELETE FROM changes WHERE project = ? AND what = 'score' AND subject = ?",
        [(stamp.project, score_id) for score_id in ids],
    )
    # The digest lets whoever knows the subject see that it was erased, and nobody else.
    audit.record(
        connection, stamp, audit.ERASE, digest(f"{stamp.project} {subject}".encode()),
        {"traces": traces, "scores": len(ids), "rows": [list(fact) for fact in facts]},
    )  # fmt: skip


def _named(session: Session, digests: set[str]) -> set[str]:
    """Those that artifacts, scores or jobs mention."""
    with session._database.read() as connection:
        return {
            name
            for name in digests
            for table, columns in (("artifacts", "blob, content"), ("scores", "value, data"), ("job_items", "value"))
            if any(
                name in json.dumps(list(row))
                for row in connection.execute(f"SELECT {columns} FROM {table}")  # noqa: S608  our own tables
            )
        }
