"""`afere.instrument()`: trace the libraries that are installed, by the instrumentors that exist for them."""

from __future__ import annotations

import logging
import os
import re
import threading
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from afere.base.errors import MissingExtra, NotFound

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

# Distributions whose spans are about generative AI, best first; others would flood traces with HTTP and cache calls.
_FAMILIES = ("opentelemetry-instrumentation-genai-", "openinference-instrumentation-")
# How OpenTelemetry's instrumentors are told to put what was said into spans, where our redaction applies.
_CONTENT = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
}
_done: set[str] = set()
_lock = threading.Lock()


def instrument(*libraries: str) -> list[str]:
    """Trace calls of these libraries (none named: all that are found); returns the names of what is traced now.

    Needs an instrumentor of the library: `opentelemetry-instrumentation-genai-NAME` or `openinference-instrumentation-NAME`.
    They get a tracer provider of our own, so other tracing in the program goes on as it was.
    """
    found = _found()
    unknown = [name for name in libraries if name not in found]
    if unknown:
        known = ", ".join(sorted(found)) or "none"
        raise NotFound(
            f"Nothing that is installed can trace {', '.join(unknown)} (found for: {known}). "
            f"Install it with: pip install {_FAMILIES[0]}{unknown[0]} or {_FAMILIES[1]}{unknown[0]}"
        )
    if not found:
        return []
    provider = _provider()
    for variable, value in _CONTENT.items():
        os.environ.setdefault(variable, value)
    with _lock:
        for name in libraries or sorted(found):
            if name not in _done and any(_start(point, provider) for point in found[name]):
                _done.add(name)
                if name == "langchain":
                    _watch_resumes()
        return sorted(_done.intersection(libraries or found))


def _found() -> dict[str, list[EntryPoint]]:
    """Library -> its instrumentors, the best first: the next is tried where one does not know the installed version."""
    found: dict[str, list[EntryPoint]] = {}
    points = [(_family(point), point) for point in entry_points(group="opentelemetry_instrumentor")]
    for family, point in sorted((pair for pair in points if pair[0] is not None), key=lambda pair: str(pair[0])):
        if family is not None and point.dist is not None:
            found.setdefault(_plain(point.dist.name).removeprefix(_FAMILIES[family]), []).append(point)
    return found


def _family(point: EntryPoint) -> int | None:
    name = _plain(point.dist.name) if point.dist is not None else ""
    return next((number for number, prefix in enumerate(_FAMILIES) if name.startswith(prefix)), None)


def _watch_resumes() -> None:
    from afere.tracing import resumes

    resumes.watch()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _start(point: EntryPoint, provider: TracerProvider) -> bool:
    instrumentor: Any = point.load()()
    if instrumentor.is_instrumented_by_opentelemetry:  # by somebody else: theirs
        return False
    told = logging.getLogger("opentelemetry.instrumentation.instrumentor")
    before, told.disabled = told.disabled, True  # it logs an error where the library is not there, which is our answer
    try:
        instrumentor.instrument(tracer_provider=provider)
    finally:
        told.disabled = before
    return bool(instrumentor.is_instrumented_by_opentelemetry)  # false where the library itself is not installed


@cache
def _provider() -> TracerProvider:
    try:
        from afere.tracing.foreign import provider
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise MissingExtra("instrument", "afere.instrument()") from None
    return provider()
