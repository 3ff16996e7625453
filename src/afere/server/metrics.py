"""`/metrics`, as Prometheus reads it: what came in by OTLP, and what was sent on to other collectors."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from afere.server.otlp import Intake

_KIND = "text/plain; version=0.0.4; charset=utf-8"


def metrics(intake: Intake, _request: Request) -> Response:
    """Counters since the server began; those of forwarding go on from the one before."""
    targets = [(f'{{target="{_escaped(one.state.target)}"}}', one.state) for one in intake.forward.targets]
    families = [
        (
            "afere_otlp_kept_total",
            "counter",
            "Spans and events that OTLP brought and that are on disk.",
            [("", intake.kept)],
        ),
        ("afere_otlp_refused_total", "counter", "Spans and events refused one by one.", [("", intake.refused)]),
        ("afere_forward_sent_total", "counter", "Sent on.", [(label, state.sent) for label, state in targets]),
        ("afere_forward_lost_total", "counter", "Never sent on.", [(label, state.lost) for label, state in targets]),
        ("afere_forward_waiting", "gauge", "Wait to be sent on.", [(label, state.waiting) for label, state in targets]),
    ]
    lines: list[str] = []
    for name, kind, about, values in families:
        if values:
            lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{label} {value}" for label, value in values]
    return PlainTextResponse("\n".join(lines) + "\n", headers={"content-type": _KIND})


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
