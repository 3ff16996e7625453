"""What a trace does not tell though it could: each thing with the one line that brings it. And what its resource says of its origin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from afere.base.span import Span, Trace

VERSION, REVISION = "service.version", "vcs.ref.head.revision"
_SERVICE = ("resource.service.name", "service.name")
_FROM_ELSEWHERE = "resource."  # attributes that begin so came over OTLP
_ASKED = frozenset({"llm", "embedding"})
_CUT = "redacted"
_LOGFIRE = "logfire.span_type"  # "log" is the second span of a streamed call, which has what the first lacks

# Beginning of an attribute's or scope's name -> the line that lets such a library send what was said.
_CONTENT = (
    ("openinference", "export OPENINFERENCE_HIDE_INPUTS=false OPENINFERENCE_HIDE_OUTPUTS=false"),
    ("traceloop", "export TRACELOOP_TRACE_CONTENT=true"),
    ("ai.", "experimental_telemetry: { isEnabled: true, recordInputs: true, recordOutputs: true }"),
    ("pydantic_ai", "Agent.instrument_all(InstrumentationSettings(include_content=True))"),
    ("pydantic-ai", "Agent.instrument_all(InstrumentationSettings(include_content=True))"),
    ("gcp.vertex.agent", "export ADK_CAPTURE_MESSAGE_CONTENT_IN_SPANS=true"),
    ("com.anthropic.sdk", "export ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE=content"),
    ("openlit", "openlit.init(capture_message_content=True)"),
)
_GENAI = (
    "export OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental "
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY"
)


class Lack(NamedTuple):
    """One thing that is not known of a trace, in words, and the one line that brings it."""

    what: str
    line: str


class Origin(NamedTuple):
    """Where a trace comes from, as its spans and their resource say; None where they do not."""

    service: str | None
    version: str | None
    revision: str | None  # of the code, mostly of git
    environment: str | None


def origin(trace: Trace) -> Origin:
    """Where the trace comes from; what its first span says counts first."""
    spans = [trace.root, *trace.spans]

    def said(*names: str) -> str | None:
        found = (span.attributes.get(name) for span in spans for name in names)
        return next((value for value in found if isinstance(value, str) and value), None)

    named = said(*_SERVICE)
    service = None if named is not None and named.startswith("unknown_service") else named  # the SDKs' own default
    environment = next((span.environment for span in spans if span.environment), None)
    return Origin(service, said(VERSION), said(REVISION), environment)


def lacks(trace: Trace) -> list[Lack]:
    """What this trace could tell and does not: versions, inputs, tokens, costs. Empty when nothing is missing.

    Pure: nothing is read but the trace. What `redact` or `content: none` took out is not missing. A trace whose root still
    runs, and one without a call of a model and without a version, are judged by what they have.
    """
    return [lack for lack in (_versions(trace), _inputs(trace), *_usage(trace)) if lack is not None]


def _versions(trace: Trace) -> Lack | None:
    about = origin(trace)
    if about.version or about.revision or any(span.artifacts for span in trace.spans):
        return None
    if any("gen_ai.prompt.version" in span.attributes or "release" in span.attributes for span in trace.spans):
        return None
    if _foreign(trace.spans):
        line = 'export OTEL_RESOURCE_ATTRIBUTES="service.version=$(git rev-parse --short HEAD)"'
    else:
        line = "@afere.chain  # above the function that answers; or afere.context(release=...) around it"
    return Lack("which version ran", line)


def _inputs(trace: Trace) -> Lack | None:
    calls = _calls(trace)
    silent = [span for span in calls if not _heard(span)]
    if not silent:
        return None
    names = [f"{span.attributes.get('scope.name', '')}" for span in silent]
    keys = [name for span in silent for name in span.attributes if not name.startswith(_FROM_ELSEWHERE)]
    known = (line for sign, line in _CONTENT if any(text.startswith(sign) for text in (*names, *keys)))
    line = next(known, _GENAI if _speaks_genai(silent) else "span.input(question)  # on the span that asks the model")
    return Lack(_share("what the model was asked", len(silent), len(calls)), line)


def _usage(trace: Trace) -> Iterator[Lack]:
    calls = _calls(trace)
    uncounted = [span for span in calls if span.input_tokens is None and span.output_tokens is None]
    if uncounted:
        line = (
            'stream_options={"include_usage": True}  # in the call, where a provider streams without saying its usage'
        )
        yield Lack(_share("tokens and cost", len(uncounted), len(calls)), line)
    unpriced = [span for span in calls if span.cost is None and span not in uncounted]
    unnamed = [span for span in unpriced if not (span.response_model or span.model)]
    if unnamed:
        line = 'span.set_attribute("gen_ai.request.model", model)  # on the span that calls the model'
        yield Lack(_share("which model answered, and so the cost", len(unnamed), len(calls)), line)
    elif unpriced:
        first = unpriced[0]
        what = f"the price of {first.response_model or first.model}, and so the cost"
        line = 'span.set_attribute("gen_ai.usage.cost", dollars)  # on the span that calls the model'
        yield Lack(_share(what, len(unpriced), len(calls)), line)


def _calls(trace: Trace) -> list[Span]:
    """The calls of models that ended well; an outer one is judged by those inside it."""
    above = {span.parent_id for span in trace.spans if span.kind in _ASKED}
    later = {span.parent_id for span in trace.spans if span.attributes.get(_LOGFIRE) == "log"}
    return [
        span
        for span in trace.spans
        if span.kind in _ASKED
        and span.status == "ok"
        and span.span_id not in above
        and not (span.attributes.get(_LOGFIRE) == "span" and span.input_tokens is None and span.parent_id in later)
    ]


def _heard(span: Span) -> bool:
    # No convention has a place for the texts that were embedded, and several libraries do not send them at all.
    return bool(span.kind == "embedding" or span.input_messages or span.input is not None or _CUT in span.marks)


def _foreign(spans: Sequence[Span]) -> bool:
    return any(name.startswith(_FROM_ELSEWHERE) for span in spans for name in span.attributes)


def _speaks_genai(spans: Sequence[Span]) -> bool:
    return any(name.startswith("gen_ai.") for span in spans for name in span.attributes)


def _share(what: str, some: int, of: int) -> str:
    return what if some == of else f"{what} ({some} of {of} calls)"
