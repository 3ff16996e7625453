"""`/metrics`: how the server is, in Prometheus' text form. Counts are of this process since it began; they name no project.

What models were asked, and which spans were lost, is told by project, for those that who asks may read.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from afere.base.actor import Actor
from afere.base.canonical import Json
from afere.base.errors import AfereError
from afere.server.auth import actor_in
from afere.server.problem import problem, status_of

if TYPE_CHECKING:
    from afere.server.otlp import Intake
    from afere.server.pages.frame import Sessions
    from afere.store import Session

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds
_BLOBS_FOR = 300.0  # seconds that the size of all blobs is believed
_RECENT_FOR = 30.0  # seconds that the figures of the last hour are
_CONTENT = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]


class Requests:
    """Requests of this process, by door and status, and how long they took by door. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, int]] = Counter()
        self._seconds: dict[str, list[float]] = {}  # door -> how many fell into each bucket, above all, and the sum

    def note(self, path: str, status: int, seconds: float) -> None:
        """One was answered."""
        door = _door(path)
        with self._lock:
            self._counts[door, status] += 1
            kept = self._seconds.setdefault(door, [0.0] * (len(BUCKETS) + 2))
            kept[bisect_left(BUCKETS, seconds)] += 1
            kept[-1] += seconds

    def text(self) -> Iterable[str]:
        """As Prometheus reads them."""
        with self._lock:
            counts = sorted(self._counts.items())
            seconds = {door: list(kept) for door, kept in sorted(self._seconds.items())}
        yield from _family(
            "afere_http_requests_total", "counter", "Requests answered, by door and HTTP status.",
            [({"door": door, "status": str(status)}, count) for (door, status), count in counts],
        )  # fmt: skip
        name = "afere_http_request_seconds"
        yield f"# HELP {name} From the request to the end of its answer.\n# TYPE {name} histogram"
        for door, kept in seconds.items():
            below = 0.0
            for bound, count in zip((*BUCKETS, "+Inf"), kept, strict=False):
                below += count
                yield _line(f"{name}_bucket", {"door": door, "le": str(bound)}, below)
            yield _line(f"{name}_sum", {"door": door}, kept[-1])
            yield _line(f"{name}_count", {"door": door}, below)


def _door(path: str) -> str:
    if path.startswith("/api/store/"):
        return "store"
    if "/v1/" in path:
        return "otlp"
    if path.startswith("/static/"):
        return "static"
    return "json" if path.endswith(".json") else "page"


class Metrics:
    """The address."""

    def __init__(self, sessions: Sessions, intake: Intake, requests: Requests) -> None:
        self._sessions, self._intake, self._requests = sessions, intake, requests
        self._began = time.time()
        self._recent: dict[Actor, tuple[float, list[str]]] = {}
        self._blobs: tuple[float, int, int] = (-_BLOBS_FOR, 0, 0)  # when they were looked at, files, bytes

    def answer(self, request: Request) -> Response:
        """`GET /metrics`, for who may read something."""
        try:
            session = self._sessions.of(None, actor_in(request))
            session.require("read")
            lines = [
                *self._process(),
                *self._requests.text(),
                *self._spans(),
                *self._forward(),
                *self._store(session),
                *self._models(session),
            ]
        except AfereError as error:
            return problem(status_of(error), str(error), request.headers.get("accept", ""))
        return PlainTextResponse("\n".join(lines) + "\n", headers={"content-type": _CONTENT})

    def _process(self) -> Iterable[str]:
        yield from _one("process_start_time_seconds", "gauge", "When this process began.", self._began)
        yield from _one("process_cpu_seconds_total", "counter", "CPU time of this process.", time.process_time())
        if (resident := _resident()) is not None:
            yield from _one("process_resident_memory_bytes", "gauge", "Memory of this process.", resident)

    def _spans(self) -> Iterable[str]:
        writer = self._intake.writer
        yield from _family(
            "afere_spans_total", "counter", "Spans (and events in logs) that were sent here: kept durably, or refused.",
            [({"result": "accepted"}, writer.accepted), ({"result": "refused"}, writer.refused)],
        )  # fmt: skip
        yield from _one(
            "afere_intake_requests", "gauge", "Requests received that nobody has begun to write.", writer.waiting
        )
        yield from _one("afere_intake_bytes", "gauge", "Bytes of OTLP requests in work.", self._intake.held)

    def _forward(self) -> Iterable[str]:
        """Counts that go on from the server before."""
        states = [({"target": one.state.target}, one.state) for one in self._intake.forward.targets]
        if states:
            sent, lost, waiting = (
                [(to, float(getattr(one, name))) for to, one in states] for name in ("sent", "lost", "waiting")
            )
            yield from _family("afere_forward_sent_total", "counter", "Spans and events sent on.", sent)
            yield from _family("afere_forward_lost_total", "counter", "Spans and events never sent on.", lost)
            yield from _family("afere_forward_waiting", "gauge", "Spans and events that wait to be sent on.", waiting)

    def _store(self, session: Session) -> Iterable[str]:
        folder = session.folder
        sizes = [
            ({"file": name}, float(sum(_size(folder / (name + end)) for end in ("", "-wal"))))
            for name in ("afere.db", "spans.db", "cache.db")
        ]
        files, size = self._blobs_of(folder)
        yield from _family(
            "afere_store_bytes", "gauge", "Bytes of the store, by file.", [*sizes, ({"file": "blobs"}, float(size))]
        )
        yield from _one("afere_store_blobs", "gauge", "Files of blobs.", files)
        disk = os.statvfs(folder) if hasattr(os, "statvfs") else None
        if disk is not None:
            yield from _one(
                "afere_disk_free_bytes", "gauge", "Free on the disk of the store.", disk.f_bavail * disk.f_frsize
            )

    def _blobs_of(self, folder: Path) -> tuple[int, int]:
        at, files, size = self._blobs
        if time.monotonic() - at > _BLOBS_FOR:
            sizes = [_size(file) for file in (folder / "blobs").glob("??/*")]
            files, size = len(sizes), sum(sizes)
            self._blobs = (time.monotonic(), files, size)
        return files, size

    def _models(self, session: Session) -> Iterable[str]:
        """The last hour, looked at anew after half a minute."""
        now = time.monotonic()
        at, lines = self._recent.get(session.rights, (-_RECENT_FOR, []))
        if now - at > _RECENT_FOR:
            lines = list(_recent(session))
            self._recent = {actor: one for actor, one in self._recent.items() if now - one[0] <= _RECENT_FOR}
            self._recent[session.rights] = (now, lines)
        return lines


# A measure of models, what it says, and the columns of `stats` that are its samples, with their labels.
_MEASURES: tuple[tuple[str, str, tuple[tuple[str, Mapping[str, str]], ...]], ...] = (
    ("afere_model_calls", "Calls to models that began in the last hour.", (("count", {}),)),
    ("afere_model_errors", "Calls to models of the last hour that failed.", (("errors", {}),)),
    (
        "afere_model_tokens", "Tokens of models in the last hour.",
        (("input_tokens", {"direction": "input"}), ("output_tokens", {"direction": "output"})),
    ),
    ("afere_model_cost_usd", "Cost of models in the last hour, in US dollars.", (("cost", {}),)),
)  # fmt: skip


def _recent(session: Session) -> Iterable[str]:
    lost: list[Sample] = []
    rows: list[tuple[Mapping[str, str], Mapping[str, Json]]] = []
    for project in session.spans.projects():
        spans = session.spans.of(project)
        lost.append(({"project": project}, sum(loss.count for loss in spans.losses())))
        for row in spans.stats("kind:llm since:1h", by=["model"]):
            rows.append(({"project": project, "model": str(row["model"] or "unknown")}, row))
    yield from _family("afere_spans_lost", "gauge", "Spans that never arrived, of the last 1,000 notes.", lost)
    for name, what, columns in _MEASURES:
        samples = [
            ({**labels, **more}, float(value))
            for labels, row in rows
            for column, more in columns
            if isinstance(value := row[column], int | float)
        ]
        yield from _family(name, "gauge", what, samples)


def _resident() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _one(name: str, kind: str, what: str, value: float) -> Iterable[str]:
    yield from _family(name, kind, what, [({}, value)])


def _family(name: str, kind: str, what: str, samples: Iterable[Sample]) -> Iterable[str]:
    yield f"# HELP {name} {what}\n# TYPE {name} {kind}"
    for labels, value in samples:
        yield _line(name, labels, value)


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{'{' + said + '}' if said else ''} {float(value):.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
