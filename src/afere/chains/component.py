"""Component: a prompt with a model and parameters; the smallest thing that answers."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from opentelemetry.context import Context

from afere.base.artifact import Artifact, Ref, parse_ref
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadPrompt, ModelFailed, WorldFailed
from afere.base.message import Message, ToolSpec
from afere.base.project import Project
from afere.base.span import EXAMPLES
from afere.base.steps import Steps, adrive, drive
from afere.chains.calls import CACHED, answer
from afere.chains.fetching import REFRESH, Fetcher, Found, found_by
from afere.chains.nearest import Choosing
from afere.chains.prompt import Prompt, load_prompt, stored_prompt
from afere.chains.ready import Ready, unkept, why_unkept
from afere.chains.recorded import reply_of
from afere.chains.standing import stillness, swapped
from afere.chains.tool import specs
from afere.chains.variant import Variant, variant_of
from afere.data.place import session_of, shown
from afere.models import Reply, Request, Stream, declared_as, resolve
from afere.store import Session
from afere.tracing import LiveSpan, played, span, start

_log = logging.getLogger("afere")
_FRESH = 1.0  # seconds for which a reference is not looked up again


_all: weakref.WeakSet[Component] = weakref.WeakSet()
_all_lock = threading.Lock()


class _count:
    edits = 0


def generation() -> int:
    """How many edits of prompt files this process has seen; looks for new ones first."""
    with _all_lock:
        components = list(_all)
    for component in components:
        component._refresh()
    return _count.edits


class Component:
    """A prompt with a model and parameters. Call it with the prompt's inputs; it answers with text, or with the value
    checked against the prompt's `output`. Each call is a span, and an edit of the prompt file changes the next call.
    """

    def __init__(
        self, source: Path | Ref, project: Project, *, model: str | None = None,
        parameters: Mapping[str, Json] | None = None, fallback: Path | None = None, refresh: float = REFRESH,
    ) -> None:  # fmt: skip
        self._source = source
        self.project = project
        self._model = model
        self._parameters = dict(parameters or {})
        self._lock = threading.Lock()
        self._ready: Ready | None = None
        self._looked = 0.0
        self._seen: object = None  # the `still` in which its file was last looked at
        self._stored: tuple[str | None, dict[str, Json]] = (None, {})  # model and parameters of a stored component
        self._varied: tuple[Variant, Prompt, Ready] | None = None
        self._fetcher = Fetcher(source, project, refresh) if isinstance(source, Ref) and fallback else None
        self._found: Found | None = None  # what the fetcher said last
        self._from = "file"  # where the prompt in use comes from: file (the packaged one), disk or store
        self._packaged = load_prompt(fallback, project) if fallback else None
        self._prompt = load_prompt(source, project) if isinstance(source, Path) else self._packaged
        self.name = source.name if isinstance(source, Ref) else cast("Prompt", self._prompt).name
        with _all_lock:
            _all.add(self)

    def __call__(self, **inputs: Any) -> Any:
        """The answer: text, or the value checked against `output`."""
        return self._answer(drive(self.steps(inputs)))

    async def aio(self, **inputs: Any) -> Any:
        """Like a call, on the running event loop."""
        return self._answer(await adrive(self.steps(inputs)))

    def ask(self, **inputs: Any) -> Reply:
        """The whole reply: `.text .value .messages .calls .usage .cost .finish .model`."""
        return drive(self.steps(inputs))

    async def aask(self, **inputs: Any) -> Reply:
        """Like `ask`, on the running event loop."""
        return await adrive(self.steps(inputs))

    def stream(self, **inputs: Any) -> Stream:
        """The answer as it comes: `for piece in ...` or `async for piece in ...`; `.reply` at the end."""
        ready = self.ready()
        live = start(self.name, kind="llm", detached=True)
        try:
            values = self._begin(live, ready, inputs, ())
            request = ready.request(values)
            self._describe(live, ready, values, request)
        except BaseException as error:
            live.fail(error)
            live.end()
            raise

        def done(reply: Reply) -> None:
            self._finish(live, reply)
            live.end()

        def failed(error: BaseException) -> None:
            live.fail(error)
            live.end()

        return Stream(ready.model, request, on_done=done, on_error=failed)

    def render(self, **inputs: Any) -> list[Message]:
        """The messages these inputs make; nothing is sent."""
        prompt = self._asked
        return prompt.render(prompt.values(inputs))

    @property
    def prompt(self) -> Prompt:
        """What the prompt file says now, or what the reference points to now."""
        self._refresh()
        return cast("Prompt", self._prompt)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs it takes."""
        return self._asked.input_names

    @property
    def model_name(self) -> str:
        """The model it asks, as `provider:name`."""
        return self.ready().model_name

    @property
    def parameters(self) -> Mapping[str, Json]:
        """What is sent to the model beside the messages."""
        return self.ready().parameters

    def put(self, session: Session) -> Artifact:
        """The version of this component, with its prompt; the same content is the same version."""
        return self.ready().put(session)[1]

    def ready(self, context: Context | None = None) -> Ready:
        """This component's state now; found anew only when a file or reference changed. A replay may put another in its place,
        and a bake-off vary what it calls with. `context` is that of here, where it is known."""
        varied = variant_of(self.name, context)
        if varied is not None:
            return self._ready_as(varied)
        stand_in = swapped(context).get(self.name)
        if stand_in is not None and stand_in is not self:
            return self._prepare(stand_in.prompt, stand_in._stored)
        self._refresh(context)
        ready = self._ready
        if ready is None:
            ready = self._ready = self._prepare(cast("Prompt", self._prompt), self._stored)
        return ready

    @property
    def _asked(self) -> Prompt:
        """The prompt that a call here renders."""
        varied = variant_of(self.name)
        prompt = (varied.prompts.get(self.name) if varied else None) or self.prompt
        if varied is None or varied.examples is None or self.name not in varied.components:
            return prompt
        return prompt.showing(varied.examples)

    def _ready_as(self, varied: Variant) -> Ready:
        prompt, known = self._asked, self._varied
        if known is None or known[0] is not varied or known[1] is not prompt:
            ready = self._prepare(prompt, self._stored, varied if self.name in varied.components else None)
            known = self._varied = (varied, prompt, ready)
        return known[2]

    def steps(
        self, inputs: Mapping[str, Any], *, lead: tuple[Message, ...] = (), more: tuple[Message, ...] = (),
        tools: tuple[ToolSpec, ...] | None = None, output: Mapping[str, Json] | None = None,
    ) -> Steps[Reply]:  # fmt: skip
        """One call as steps. An agent adds turns before and after the prompt's own, `tools` and another `output`."""
        with span(self.name, kind="llm") as live:
            ready = self.ready(live.context)
            values = self._begin(live, ready, inputs, more)
            recorded = played("llm", self.name, live.record.input, live.context)
            if ready.prompt.nearest is not None:
                yield Choosing(lambda: ready.prompt.chosen(values))  # remembered for the request
            request = ready.request(values, more)
            if tools is not None:
                messages = (*lead, *request.messages)
                request = Request(messages, request.parameters, tools, output or request.output)
            self._describe(live, ready, values, request)
            if recorded is not None:
                reply, cached = reply_of(self.name, recorded, request), False
                live.set(**{"afere.replayed": True})
            else:
                reply, cached = yield from answer(self.name, ready.model, request)
            if cached:
                live.set(**{CACHED: True})
            self._finish(live, reply)
            return reply

    def _begin(
        self, live: LiveSpan, ready: Ready, inputs: Mapping[str, Any], more: tuple[Message, ...]
    ) -> dict[str, Json]:
        if (varied := variant_of(self.name, live.context)) is not None:
            varied.called = True
        try:
            values = ready.prompt.values(inputs)
        except BadPrompt:
            live.input(inputs)  # so that a call with wrong inputs shows them
            raise
        live.input({**values, "messages": [said.to_json() for said in more]} if more else values)
        live.record.model, live.record.provider = ready.model.name, ready.model.provider
        for ref, hash_ in self._used(ready, live.context):
            live.use(ref, hash_)
        if ready.source is not None:
            live.set(**{"afere.prompt.source": ready.source, "afere.prompt.fallback": ready.source != "store"})
        return values

    def _describe(self, live: LiveSpan, ready: Ready, values: Mapping[str, Json], request: Request) -> None:
        live.record.input_messages = request.said
        if ready.prompt.nearest is not None:
            live.set(**{EXAMPLES: [one.to_json() for one in ready.prompt.chosen(values)]})
        live.set(**{"gen_ai.prompt.name": ready.prompt.name})
        if request.parameters:
            live.set(**{f"gen_ai.request.{k}": v for k, v in request.parameters.items()})

    def _finish(self, live: LiveSpan, reply: Reply) -> None:
        record, usage = live.record, reply.usage
        record.response_model, record.finish_reason, record.cost = reply.model, reply.finish, reply.cost
        record.input_tokens, record.output_tokens = usage.input_tokens, usage.output_tokens
        record.cached_input_tokens, record.reasoning_tokens = usage.cached_input_tokens, usage.reasoning_tokens
        record.first_token_seconds = reply.first_token_seconds
        record.output_messages = [said.to_json() for said in reply.messages]
        live.output(reply.text if reply.value is None else reply.value)

    def _answer(self, reply: Reply) -> Any:
        if reply.value is not None:
            return reply.value
        if reply.calls and not reply.text:
            names = ", ".join(call.name for call in reply.calls)
            raise ModelFailed(
                f"{self.name}: the model asked for the tool {names} instead of answering. "
                f"Run its tools with afere.agent({self.name}, tools=[...]), or read .ask(...).calls yourself."
            )
        return reply.text

    def _used(self, ready: Ready, context: Context) -> list[tuple[str, str]]:
        """What ran, for the span. A store that fails is noted and never stops the call."""
        if self._fetcher is not None:
            return self._used_meanwhile(ready)
        try:
            now = stillness(context)
            if now is None or ready.said[0] is not now:
                ready.said = now, [(it.ref, it.hash) for it in ready.put(session_of(self.project))]
            return ready.said[1]
        except (AfereError, OSError) as problem:
            _log.warning("%s: its version could not be kept: %s", self.name, why_unkept(problem))
            return unkept(ready)

    def _used_meanwhile(self, ready: Ready) -> list[tuple[str, str]]:
        """As `_used`, without waiting for the store: it is told beside the call, and once."""

        def put() -> None:
            try:
                ready.said = None, [(it.ref, it.hash) for it in ready.put(session_of(self.project))]
            except Exception as problem:
                _log.warning("%s: its version could not be kept: %s", self.name, why_unkept(problem))

        if ready.putting is None:
            ready.putting = threading.Thread(target=put, name=f"afere keeps {self.name}", daemon=True)
            ready.putting.start()
        return ready.said[1] or unkept(ready)

    def _refresh(self, context: Context | None = None) -> None:
        now = stillness(context)
        if now is not None and now is self._seen:
            return
        self._look()
        self._seen = now

    def _look(self) -> None:
        if isinstance(self._source, Path):
            if cast("Prompt", self._prompt).changed:
                with self._lock:
                    self._prompt, self._ready = load_prompt(self._source, self.project), None
                    _count.edits += 1
        elif self._fetcher is not None:
            found = self._fetcher.current()
            if found is not None and found is not self._found:
                self._take(found)
        elif self._prompt is None or (not _fixed(self._source) and time.monotonic() - self._looked > _FRESH):
            with self._lock:
                try:
                    self._look_up(self._source)
                except WorldFailed as problem:
                    if self._prompt is None:
                        raise
                    self._looked = time.monotonic()  # a store that is away does not stop what is known already
                    _log.warning("%s: %s could not be looked up again: %s", self.name, self._source, problem)

    def _look_up(self, ref: Ref) -> None:
        found = found_by(ref, session_of(self.project))
        self._looked = time.monotonic()
        self._stored = (found.model and declared_as(found.model, self.project), found.parameters)
        if self._prompt is None or self._prompt.file != found.prompt.ref:
            self._prompt = stored_prompt(found.prompt)
        self._ready = None

    def _take(self, found: Found) -> None:
        """Use what was fetched; a version that cannot be used here leaves what is used now."""
        with self._lock:
            self._found = found
            try:
                prompt = stored_prompt(found.prompt)
            except (AfereError, KeyError, TypeError) as problem:
                _log.warning("%s: %s cannot be used: %s", self.name, found.prompt.ref, problem)
                return
            self._prompt, self._stored, self._ready = prompt, (found.model, found.parameters), None
            self._from = found.source

    def _prepare(
        self, prompt: Prompt, stored: tuple[str | None, Mapping[str, Json]], varied: Variant | None = None
    ) -> Ready:
        own = self._prompt.model if self._prompt else None  # of the file that a replay swapped out
        packaged = self._packaged if self._packaged is not None and stored[0] is None else None
        own = own or (packaged.model if packaged else None)
        named = (varied.model if varied else None) or self._model or prompt.model or stored[0] or own
        if named is None:
            declared = self.project.section("models")
            named = next((name for name in (prompt.name, self.name) if name in declared), None)
        if named is None:
            raise BadPrompt(
                f"prompt {prompt.name!r} has no model ({prompt.file}). Write model: in its front matter, "
                f"models: {{{prompt.name}: openai:gpt-4.1-mini}} in afere.yaml, or give afere.prompt(..., model=...)."
            )
        model = resolve(named, self.project)
        settings: Mapping[str, Json] = model.settings.parameters
        first: Mapping[str, Json] = packaged.parameters if packaged else {}
        parameters = {**settings, **first, **prompt.parameters, **stored[1], **self._parameters}
        if varied is not None:
            parameters = {
                name: value for name, value in {**parameters, **varied.parameters}.items() if value is not None
            }
        origin = shown(Path(prompt.file), self.project.root) if Path(prompt.file).is_absolute() else prompt.file
        tools = specs(prompt.tools, self.project)
        source = self._from if self._fetcher is not None else None
        return Ready(origin, prompt, model, f"{model.provider}:{model.name}", parameters, tools, source=source)

    def __repr__(self) -> str:
        return f"<component {self.name!r} from {self._source}>"


def version_of(artifact: Artifact, project: Project, model: str, parameters: Mapping[str, Json]) -> Component:
    """A component of one kept version of a prompt, which is not looked up again."""
    made = Component(parse_ref(artifact.ref), project, model=model, parameters=parameters)
    made._prompt = stored_prompt(artifact)
    return made


def live_components(name: str, project: Project) -> list[Component]:
    """Those of that name that this process has made in the project."""
    with _all_lock:
        return [one for one in _all if one.name == name and one.project.root == project.root]


def _fixed(ref: Ref) -> bool:
    return ref.number is not None or ref.hex is not None
