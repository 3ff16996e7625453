"""promptfoo's providers that run here: OpenAI-compatible models, a Python function, a command without a shell."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import BadInput, WorldFailed
from afere.base.message import Message
from afere.base.project import Project
from afere.base.steps import drive
from afere.chains.calls import CACHED, answer
from afere.chains.template import Template
from afere.models import Request, resolve
from afere.tracing import span

Ask = Callable[[list[Message], dict[str, Json]], Json]
SECONDS = 300  # for one answer of a command
_PARAMETERS = ("temperature", "max_tokens", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")
_KNOWN = "openai:chat:MODEL, ollama:chat:MODEL, python:FILE:function, exec:COMMAND"


@dataclass(frozen=True)
class Provider:
    """Who answers. `content` is what makes it this one; `unread` names the settings that are not read."""

    label: str
    ask: Ask
    content: Json
    unread: tuple[str, ...] = ()


class Target:
    """A prompt with a provider, called with the vars of a test."""

    def __init__(self, template: Template, provider: Provider) -> None:
        self._template, self._provider = template, provider

    def __call__(self, **values: Json) -> Json:
        return self._provider.ask(self._template.render(values), values)


def provider_of(said: Json, folder: Path, project: Project, place: str) -> Provider:
    """Read one entry of `providers:`. BadInput names the place where it is none that runs here."""
    entry: dict[str, Json] = {"id": said} if isinstance(said, str) else dict(said) if isinstance(said, dict) else {}
    if len(entry) == 1 and "id" not in entry and isinstance(inner := next(iter(entry.values())), dict):
        entry = {"id": next(iter(entry)), **inner}
    id_, config = entry.get("id"), entry.get("config") or {}
    if not isinstance(id_, str) or not isinstance(config, dict):
        raise BadInput(f"{place}: a provider is text or {{id: ..., config: {{...}}}}. Here run: {_KNOWN}.")
    unread = [f"{place}: {key} of {id_}" for key in entry if key not in ("id", "label", "config")]
    label = str(entry.get("label") or id_)
    kind, _, rest = id_.partition(":")
    if kind in ("openai", "ollama") and rest:
        known = (*_PARAMETERS, "apiBaseUrl")
        ask = _model(kind, rest.removeprefix("chat:"), config, project)
        unread += [f"{place}: config.{key} of {id_}" for key in config if key not in known]
        public: dict[str, Json] = {key: config[key] for key in config if key in known}
        return Provider(label, ask, [id_, public], tuple(unread))
    if kind == "python" and rest:
        return Provider(label, _python(rest, folder, config, place), [id_, config], tuple(unread))
    if kind == "exec" and rest.strip():
        return Provider(label, _command(rest, folder, config, place), [id_, config], tuple(unread))
    raise BadInput(f"{place}: the provider {id_!r} does not run here. These do: {_KNOWN}.")


def _model(kind: str, name: str, config: dict[str, Json], project: Project) -> Ask:
    address = config.get("apiBaseUrl")
    model = resolve(f"{address}#{name}" if isinstance(address, str) else f"{kind}:{name}", project)
    parameters = {key: config[key] for key in _PARAMETERS if key in config}

    def ask(messages: list[Message], values: dict[str, Json]) -> Json:
        request = Request(tuple(messages), parameters, timed=False)
        with span(name, kind="llm") as live:
            record = live.record
            record.model, record.provider, record.input_messages = model.name, model.provider, request.said
            reply, cached = drive(answer(name, model, request))
            record.response_model, record.finish_reason, record.cost = reply.model, reply.finish, reply.cost
            record.input_tokens, record.output_tokens = reply.usage.input_tokens, reply.usage.output_tokens
            record.output_messages = [one.to_json() for one in reply.messages]
            live.output(reply.text)
            if cached:
                live.set(**{CACHED: True})
        return reply.text

    return ask


def _said(messages: list[Message]) -> str:
    """The prompt as promptfoo hands it to a program: its text, or the messages of a chat as JSON."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].text
    return json.dumps([{"role": one.role, "content": one.text} for one in messages], ensure_ascii=False)


def _python(said: str, folder: Path, config: dict[str, Json], place: str) -> Ask:
    name, _, function = said.removeprefix("file://").partition(":")
    path = folder / name
    if not path.is_file():
        raise BadInput(f"{place}: there is no file {path}.")
    spec = importlib.util.spec_from_file_location(f"_promptfoo_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise BadInput(f"{place}: {path.name} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        raise BadInput(f"{place}: {path.name} cannot be imported: {type(problem).__name__}: {problem}.") from problem
    call = getattr(module, function or "call_api", None)
    if not callable(call):
        raise BadInput(f"{place}: {path.name} has no function {function or 'call_api'}.")

    def ask(messages: list[Message], values: dict[str, Json]) -> Json:
        found: Any = call(_said(messages), {"config": config}, {"vars": values})
        if not isinstance(found, dict):
            return cast("Json", found)
        answered = cast("dict[str, Any]", found)
        if answered.get("error"):
            raise WorldFailed(f"{path.name}: {answered['error']}")
        return answered.get("output")

    return ask


def _command(said: str, folder: Path, config: dict[str, Json], place: str) -> Ask:
    try:
        words = shlex.split(said)
    except ValueError as problem:
        raise BadInput(f"{place}: this command cannot be read: {problem}.") from None

    def ask(messages: list[Message], values: dict[str, Json]) -> Json:
        more = [_said(messages), json.dumps({"config": config}), json.dumps({"vars": values})]
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command, as a list and without a shell
                [*words, *more],
                check=False,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise WorldFailed(f"{words[0]}: {problem}") from None
        if done.returncode:
            raise WorldFailed(f"{words[0]} ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()

    return ask
