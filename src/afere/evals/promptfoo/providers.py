"""promptfoo's providers that run here: OpenAI-compatible models, addresses, the owner's Python, JavaScript and commands."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, WorldFailed
from afere.base.message import ToolCall, ToolSpec
from afere.base.project import Project
from afere.base.steps import drive
from afere.chains.calls import CACHED, answer
from afere.evals.promptfoo.checks import LOGPROB
from afere.evals.promptfoo.files import FILE, Folder
from afere.evals.promptfoo.http import over_http
from afere.evals.promptfoo.programs import SECONDS, ProgramFailed, Programs, language_of
from afere.evals.promptfoo.prompts import Prompt
from afere.evals.promptfoo.transforms import Transform, transform_of
from afere.models import Model, Request, resolve
from afere.tracing import LiveSpan, span

_PARAMETERS = (
    "temperature",
    "max_tokens",
    "top_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "tool_choice",
)
_ADDRESS = ("apiBaseUrl", "apiHost", "apiKeyEnvar", "tools", "functions", "response_format")
_COMPATIBLE = {
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": ("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": ("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
}
KNOWN = (
    "openai:chat:MODEL, ollama:chat:MODEL, openrouter:, groq:, mistral:, deepseek:MODEL, http(s)://..., "
    "python:FILE.py:function, file://FILE.js, exec:COMMAND, echo"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a provider is asked: the prompt, its text as filled in, and the vars. `logprobs`: the probabilities of the answer's
    tokens are asked for too."""

    prompt: Prompt
    text: str
    values: Mapping[str, Json]
    logprobs: bool = False


Ask = Callable[[Asked], Json]


@dataclass(frozen=True)
class Provider:
    """Who answers. `content` is what makes it this one; `unread` names the settings that are not read; `runs` says which of
    the owner's programs it runs; `only` are the labels of the prompts it is for (none: all)."""

    label: str
    ask: Ask
    content: Json
    unread: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    tools: tuple[dict[str, Json], ...] = ()  # as OpenAI writes functions
    model: Model | None = None
    transform: Transform | None = None

    def answer(self, asked: Asked) -> Json:
        """Its answer, by its transform if it has one."""
        output = self.ask(asked)
        if self.transform is None:
            return output
        context: Json = {"vars": dict(asked.values), "prompt": {"raw": asked.text, "label": asked.prompt.label}}
        return self.transform(output, output if isinstance(output, str) else json.dumps(output), context)


@dataclass(frozen=True)
class Place:
    """Where providers are read: their folder and project, and the child processes that they share."""

    folder: Folder
    project: Project
    programs: Programs


class NoSuchProvider(BadInput):
    """A provider that does not run here."""


@dataclass
class _Entry:
    """One entry of `providers:`, and which of its settings were read."""

    id: str
    label: str
    config: dict[str, Json]
    place: str
    said: dict[str, Json]
    read: set[str] = field(default_factory=set[str])

    def get(self, key: str) -> Json:
        self.read.add(key)
        return self.config.get(key)

    @property
    def unread(self) -> tuple[str, ...]:
        outer = [key for key in self.said if key not in ("id", "label", "config", "prompts", "transform")]
        inner = [f"config.{key}" for key in self.config if key not in (*self.read, "transform")]
        return tuple(f"{self.place}: {key} of {self.id}" for key in (*outer, *inner))


def provider_of(said: Json, at: Place, place: str) -> Provider:
    """Read one entry of `providers:`. NoSuchProvider names the place of one that does not run here."""
    entry = _entry(said, place)
    kind, _, rest = entry.id.partition(":")
    if entry.id.startswith(("http://", "https://")) or entry.id in ("http", "https"):
        made = _http(entry, at)
    elif (program := _program(entry, at)) is not None:
        made = program
    elif kind == "exec" and rest.strip():
        made = _command(entry, rest, at)
    elif entry.id in ("echo", "promptfoo:echo"):
        made = Provider(entry.label, lambda asked: asked.text, entry.id)
    elif kind in ("openai", "ollama", *_COMPATIBLE) and rest:
        made = _model(entry, kind, rest, at)
    else:
        raise NoSuchProvider(f"{place}: the provider {entry.id!r} does not run here. These do: {KNOWN}.")
    return _finished(made, entry, at)


def _entry(said: Json, place: str) -> _Entry:
    found: dict[str, Json] = {"id": said} if isinstance(said, str) else dict(said) if isinstance(said, dict) else {}
    if len(found) == 1 and "id" not in found and isinstance(inner := next(iter(found.values())), dict):
        found = {"id": next(iter(found)), **inner}
    id_, config = found.get("id"), found.get("config") or {}
    if not isinstance(id_, str) or not isinstance(config, dict):
        raise BadInput(f"{place}: a provider is text or {{id: ..., config: {{...}}}}. Here run: {KNOWN}.")
    return _Entry(id_, str(found.get("label") or id_), config, place, found)


def _finished(made: Provider, entry: _Entry, at: Place) -> Provider:
    """With what every provider may have: a transform, and the prompts that it is for."""
    said = entry.said.get("transform") or entry.config.get("transform")
    transform = transform_of(said, at.folder, at.programs, entry.place, "output", "context") if said else None
    only = entry.said.get("prompts") or []
    if not isinstance(only, list):
        raise BadInput(f"{entry.place}: prompts of {entry.id} must be a list of labels.")
    runs = (*made.runs, *([transform.language] if transform and transform.language else []))
    content = [made.content, transform.said] if transform else made.content
    return dataclasses.replace(
        made, unread=entry.unread, only=tuple(str(one).removeprefix(FILE) for one in only), transform=transform, runs=runs, content=content
    )  # fmt: skip


def _model(entry: _Entry, kind: str, rest: str, at: Place) -> Provider:
    name = rest.removeprefix("chat:")
    if (
        kind == "openai"
        and ":" in name
        and name.split(":")[0] in ("responses", "completion", "embedding", "image", "realtime", "assistant")
    ):
        raise NoSuchProvider(f"{entry.place}: the provider {entry.id!r} does not run here; openai:chat:MODEL does.")
    address, key = _COMPATIBLE.get(kind, (None, None))
    given, host, variable = entry.get("apiBaseUrl"), entry.get("apiHost"), entry.get("apiKeyEnvar")
    address = given or (f"https://{host}/v1" if host else address)
    key = variable or (None if given or host else key)
    model = resolve(f"{address}#{name}" if address else f"{kind}:{name}", at.project)
    if key and dataclasses.is_dataclass(model):
        model = cast(
            "Model", dataclasses.replace(cast("Any", model), settings=dataclasses.replace(model.settings, key=str(key)))
        )
    parameters = {key: entry.get(key) for key in _PARAMETERS if key in entry.config}
    tools = _tools(entry, at)
    shape = _shape(entry, at)
    specs = tuple(
        ToolSpec(
            str(one["name"]),
            str(one.get("description") or ""),
            cast("Any", one.get("parameters") or {"type": "object"}),
        )
        for one in tools
    )

    def ask(asked: Asked) -> Json:
        more: dict[str, Json] = {"logprobs": True} if asked.logprobs else {}
        request = Request(tuple(asked.prompt.messages(asked.text)), {**parameters, **more}, specs, shape, timed=False)
        output = _called(name, model, request)
        only = output[0] if isinstance(output, list) and len(output) == 1 else None
        return only["function"] if "functions" in entry.config and isinstance(only, dict) else output

    public: dict[str, Json] = {key: entry.config[key] for key in (*_PARAMETERS, *_ADDRESS) if key in entry.config}
    return Provider(entry.label, ask, [entry.id, public], tools=tools, model=model)


def _tools(entry: _Entry, at: Place) -> tuple[dict[str, Json], ...]:
    """The functions that the model is offered, by `tools` or the older `functions`."""
    said = at.folder.value(entry.get("tools"), entry.place) or []
    listed = said if isinstance(said, list) else [said]
    functions = [one.get("function") if isinstance(one, dict) else None for one in listed]
    older = at.folder.value(entry.get("functions"), entry.place) or []
    functions += older if isinstance(older, list) else [None]
    if any(not isinstance(one, dict) or not isinstance(one.get("name"), str) for one in functions):
        raise BadInput(
            f"{entry.place}: tools of {entry.id} must be a list of {{type: function, function: {{name, parameters}}}}, "
            "functions a list of {name, parameters}."
        )
    return tuple(cast("dict[str, Json]", one) for one in functions)


def _shape(entry: _Entry, at: Place) -> dict[str, Json] | None:
    """The JSON Schema that answers must fit."""
    said = at.folder.value(entry.get("response_format"), entry.place)
    if said is None:
        return None
    held = said.get("json_schema") or said if isinstance(said, dict) else {}
    schema = at.folder.value(held.get("schema") if isinstance(held, dict) else None, entry.place)
    if not isinstance(schema, dict):
        entry.read.discard("response_format")
        return None
    return schema


def _called(name: str, model: Model, request: Request) -> Json:
    """One call with its span: the text, the value where a schema asks for one, or the tool calls as OpenAI writes them."""
    with span(name, kind="llm") as live:
        record = live.record
        record.model, record.provider, record.input_messages = model.name, model.provider, request.said
        reply, cached = drive(answer(name, model, request))
        record.response_model, record.finish_reason, record.cost = reply.model, reply.finish, reply.cost
        record.input_tokens, record.output_tokens = reply.usage.input_tokens, reply.usage.output_tokens
        record.output_messages = [one.to_json() for one in reply.messages]
        _told_logprobs(live, reply.logprobs)
        calls: list[Json] = [_call(one) for one in reply.calls]
        output: Json = calls if calls and not reply.text else reply.text if request.output is None else reply.value
        live.output(output)
        if cached:
            live.set(**{CACHED: True})
    return output


def _told_logprobs(live: LiveSpan, said: Sequence[float]) -> None:
    if said:
        live.set(**{LOGPROB: math.fsum(said) / len(said)})


def _call(one: ToolCall) -> Json:
    arguments = one.arguments if isinstance(one.arguments, str) else json.dumps(one.arguments, ensure_ascii=False)
    return {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": arguments}}


def _program(entry: _Entry, at: Place) -> Provider | None:
    """A function `call_api(prompt, options, context)` in Python, or a JavaScript class with `callApi(prompt, context)`."""
    said = entry.id.removeprefix("python:").removeprefix("javascript:")
    path, function = at.folder.split(said)
    language = language_of(path)
    if language is None or not (entry.id != said or said.startswith((FILE, "./", "../"))):
        return None
    code = at.folder.code(said, entry.place, "call_api")
    assert code is not None  # its language is known
    python = entry.get("pythonExecutable")
    programs = Programs(at.folder.path, python=str(python)) if python else at.programs
    entry.read.update(entry.config)  # all of it is handed over
    options: Json = {"id": entry.id, "label": entry.label, "config": {**entry.config, "basePath": str(at.folder.path)}}

    def ask(asked: Asked) -> Json:
        context: Json = {"vars": dict(asked.values), "prompt": {"raw": asked.text, "label": asked.prompt.label}}
        with span(path.name, kind="llm" if function in ("", "call_api") else "step") as live:
            live.input(asked.text)
            try:
                found = programs.call(code, asked.text, options, context)
            except ProgramFailed as problem:
                raise RuntimeError(f"{path.name}: {problem}") from None
            output = _output(found, live, path.name)
            live.output(output)
        return output

    return Provider(entry.label, ask, [entry.id, code.content, cast("Json", _public(entry.config))], runs=(language,))


def _public(config: Mapping[str, Json]) -> dict[str, Json]:
    """Settings without what may be a secret."""
    return {
        key: value
        for key, value in config.items()
        if not any(word in key.lower() for word in ("key", "token", "secret", "password"))
    }


def _output(found: Json, live: LiveSpan, who: str) -> Json:
    """What a provider's answer says: its output; its cost and tokens go to the span, its error is raised."""
    if not isinstance(found, dict) or not {"output", "error"} & set(found):
        return found
    if found.get("error"):
        raise WorldFailed(f"{who}: {found['error']}")
    usage, cost, logprobs = found.get("tokenUsage"), found.get("cost"), found.get("logProbs")
    if isinstance(logprobs, list):
        _told_logprobs(live, [float(one) for one in logprobs if isinstance(one, int | float)])
    if isinstance(cost, int | float):
        live.record.cost = float(cost)
    if isinstance(usage, dict):
        tokens = [usage.get(key) for key in ("prompt", "completion")]
        live.record.input_tokens, live.record.output_tokens = (one if isinstance(one, int) else None for one in tokens)
    return found.get("output")


def _command(entry: _Entry, said: str, at: Place) -> Provider:
    try:
        words = shlex.split(said)
    except ValueError as problem:
        raise BadInput(f"{entry.place}: this command cannot be read: {problem}.") from None
    entry.read.update(entry.config)

    def ask(asked: Asked) -> Json:
        more = [asked.text, json.dumps({"config": entry.config}), json.dumps({"vars": dict(asked.values)})]
        try:
            done = subprocess.run(  # noqa: S603 - the user's own command, as a list and without a shell
                [*words, *more], check=False, cwd=at.folder.path, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise WorldFailed(f"{words[0]}: {problem}") from None
        if done.returncode:
            raise WorldFailed(f"{words[0]} ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()

    return Provider(entry.label, ask, [entry.id, cast("Json", _public(entry.config))], runs=("exec",))


def _http(entry: _Entry, at: Place) -> Provider:
    address = entry.get("url") or (entry.id if "://" in entry.id else None)
    if not isinstance(address, str) or not address.startswith(("http://", "https://", "{{")):
        raise BadInput(f"{entry.place}: an http provider needs an address: url: https://... under config.")
    said = entry.get("transformResponse") or entry.get("responseParser")
    transform = transform_of(said, at.folder, at.programs, entry.place, "json", "text", "context") if said else None
    ways = {key: entry.get(key) for key in ("method", "headers", "body", "queryParams")}
    ways["body"] = at.folder.value(ways["body"], entry.place)
    ask = over_http(address, ways, transform, entry.place)
    content: Json = [
        entry.id,
        address,
        ways["method"],
        ways["body"],
        ways["queryParams"],
        transform.said if transform else None,
    ]
    return Provider(
        entry.label, lambda asked: ask(asked.text, asked.values), content, runs=(transform.language,) if transform and transform.language else ()
    )  # fmt: skip


def asked_of(provider: Provider, text: str) -> Json:
    """What it says to a text that is no prompt of the file: a question to a grader."""
    try:
        return provider.answer(Asked(Prompt(text, "grader", None), text, {}))
    except AfereError:
        raise
    except RuntimeError as problem:
        raise WorldFailed(str(problem)) from None
