"""promptfoo's HTTP provider: an address that is sent the prompt, and a path or expression that finds the answer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from afere.base.canonical import Json
from afere.base.errors import BadInput, WorldFailed
from afere.evals.promptfoo.nunjucks import render, render_all
from afere.evals.promptfoo.programs import ProgramFailed
from afere.evals.promptfoo.transforms import Transform
from afere.net import Call, send
from afere.tracing import span

_SHOWN = 300  # characters of an answer that is an error


def over_http(
    address: str, ways: Mapping[str, Json], transform: Transform | None, place: str
) -> Callable[[str, Mapping[str, Json]], Json]:
    """A function from a prompt and vars to the answer. Templates may stand in address, headers, query and body; there
    `prompt` is the prompt and `env` the environment. WorldFailed where the answer is no success."""
    headers, body, query = ways.get("headers") or {}, ways.get("body"), ways.get("queryParams") or {}
    if not isinstance(headers, dict) or not isinstance(query, dict):
        raise BadInput(f"{place}: headers and queryParams must be mappings.")
    method = str(ways.get("method") or ("GET" if body is None else "POST")).upper()

    def ask(prompt: str, values: Mapping[str, Json]) -> Json:
        known: dict[str, Json] = {**values, "prompt": prompt, "env": dict(os.environ)}
        url = render(address, known)
        if query:
            filled = {key: render(str(value), known) for key, value in query.items()}
            url += ("&" if "?" in url else "?") + urlencode(filled)
        sent = {str(key).lower(): render(str(value), known) for key, value in headers.items()}
        data = None if body is None else _body(body, known, sent)
        with span(method, kind="step") as live:
            live.input(prompt)
            answered = send(Call(method, url, sent, data))
            text = answered.body.decode("utf-8", "replace")
            if not 200 <= answered.status < 300:
                raise WorldFailed(
                    f"{place}: the provider answered with status {answered.status}: {text[:_SHOWN].strip()}"
                )
            output = _read(text, transform, values)
            live.output(output)
        return output

    return ask


def ask_webhook(address: str, said: Json) -> Json:
    """What a webhook answers to an output; WorldFailed where it is no success, or no JSON."""
    if not address.startswith(("http://", "https://")):
        raise BadInput(f"webhook: {address[:80]!r} is no address; it begins with https:// or http://.")
    answered = send(Call("POST", address, {"content-type": "application/json"}, json.dumps(said).encode()))
    text = answered.body.decode("utf-8", "replace")
    if not 200 <= answered.status < 300:
        raise WorldFailed(f"the webhook {address} answered with status {answered.status}: {text[:_SHOWN].strip()}")
    try:
        return json.loads(text)
    except ValueError:
        raise WorldFailed(f"the webhook {address} answered no JSON: {text[:_SHOWN].strip()}") from None


def _body(body: Json, known: Mapping[str, Json], headers: dict[str, str]) -> bytes:
    """A mapping is sent as JSON; of a text that is JSON every value is filled in by itself, so that quotes stay right."""
    said = body
    if isinstance(body, str):
        try:
            said = json.loads(body)
        except ValueError:
            return render(body, known).encode()
    headers.setdefault("content-type", "application/json")
    return json.dumps(render_all(said, known), ensure_ascii=False).encode()


def _read(text: str, transform: Transform | None, values: Mapping[str, Json]) -> Json:
    try:
        held: Json = json.loads(text)
    except ValueError:
        held = None
    if transform is None:
        return text if held is None else held
    try:
        return transform(held, text, {"vars": dict(values)})
    except ProgramFailed as problem:
        raise RuntimeError(f"the transform {transform.said[:60]!r}: {problem}") from None
