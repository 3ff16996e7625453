"""Tool: a function that a model may ask for. Its docstring describes it; its type hints are its parameters."""

from __future__ import annotations

import functools
import inspect
import logging
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from afere.base.artifact import Artifact, check_name, identity, short
from afere.base.canonical import Json
from afere.base.document import schema_problem
from afere.base.errors import AfereError, BadInput, BadProject, NotFound
from afere.base.message import ToolSpec
from afere.base.project import Project
from afere.chains.recorded import ToolFailed
from afere.chains.schema import hints, made, parameters_of
from afere.chains.template import nearest
from afere.chains.toolcard import ToolCard, merged, tool_lists
from afere.store import Session
from afere.tracing import LiveSpan, played, span

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("afere")
_known: dict[str, Tool[..., Any]] = {}  # the tools that this process has defined, by name; the last of a name counts


class Tool(Generic[P, R]):
    """A function that a model may ask for; calling it is a `tool` span with its arguments and result."""

    def __init__(
        self, fn: Callable[P, R], name: str | None = None, owner: str | None = None, permissions: Sequence[str] = ()
    ) -> None:
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name = check_name(name or tool_name(str(getattr(fn, "__name__", "tool"))), "tool")
        self.owner = owner
        self.permissions = tuple(permissions)
        self.description = inspect.getdoc(fn) or ""
        self.is_async = inspect.iscoroutinefunction(fn)

    @cached_property
    def parameters(self) -> dict[str, Json]:
        """The JSON Schema of its arguments."""
        return parameters_of(self.fn)

    @property
    def spec(self) -> ToolSpec:
        """What a model is told of it."""
        return ToolSpec(self.name, self.description, self.parameters)

    @property
    def content(self) -> dict[str, Json]:
        """What the artifact `tool:NAME` holds."""
        return {
            "description": self.description, "parameters": self.parameters, "owner": self.owner,
            "permissions": list(self.permissions),
        }  # fmt: skip

    @cached_property
    def ran(self) -> tuple[str, str]:
        """The reference and hash by which a chain notes that this tool ran."""
        hash_ = identity("tool", self.name, self.content, None, ())
        return f"tool:{self.name}~{short(hash_)}", hash_

    @cached_property
    def _put(self) -> dict[object, tuple[str, str]]:
        """The version as each store of spans has it."""
        return {}

    def put(self, session: Session) -> Artifact:
        """The version of this tool as a model sees it; the same content is the same version."""
        return session.put("tool", self.name, self.content)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        arguments = _bound(self.fn, args, kwargs)
        if self.is_async:
            return cast("R", self._acall(arguments, args, kwargs))
        with span(self.name, kind="tool") as live:
            found, output = self._recorded(live, arguments)
            return cast("R", output) if found else self._done(live, self.fn(*args, **kwargs))

    async def _acall(self, arguments: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with span(self.name, kind="tool") as live:
            found, output = self._recorded(live, arguments)
            return output if found else self._done(live, await cast("Any", self.fn(*args, **kwargs)))

    def call(self, arguments: Mapping[str, Json] | str) -> Any:
        """Call it with arguments a model gave: checked against `parameters`, then made into the function's types."""
        if isinstance(arguments, str):
            raise BadInput(f"the arguments of {self.name} are not a JSON object: {arguments[:200]!r}")
        if problem := schema_problem(dict(arguments), self.parameters):
            raise BadInput(f"the arguments of {self.name} do not fit: {problem}")
        types_of = hints(self.fn)
        return cast("Any", self)(**{name: made(types_of[name], value) for name, value in arguments.items()})

    def _recorded(self, live: LiveSpan, arguments: dict[str, Any]) -> tuple[bool, Any]:
        live.input(arguments)
        live.use(*self._version(live))
        live.record.tool = {"name": self.name, "arguments": live.record.input, "result": None}
        if self.permissions:
            live.set(**{"permission.used": list(self.permissions)})
        recorded = played("tool", self.name, live.record.input)
        if recorded is None:
            return False, None
        live.set(**{"afere.replayed": True})
        if recorded.error is not None:
            raise ToolFailed(recorded.error)
        return True, self._done(live, recorded.output)

    def _version(self, live: LiveSpan) -> tuple[str, str]:
        """What ran, for the span; kept in the store of its trace, once. A store that fails is noted and never stops the call."""
        target = live.target
        if target is None or target in self._put:
            return self._put.get(target, self.ran)
        try:
            kept = self.put(target.session())
            self._put[target] = kept.ref, kept.hash
        except (AfereError, OSError) as problem:
            from afere.chains.ready import why_unkept

            _log.warning("tool %s: its version could not be kept: %s", self.name, why_unkept(problem))
            self._put[target] = self.ran
        return self._put[target]

    def _done(self, live: LiveSpan, result: Any) -> Any:
        live.output(result)
        cast("dict[str, Json]", live.record.tool)["result"] = live.record.output
        return result

    def __get__(self, instance: object, owner: type | None = None) -> Tool[..., R]:
        if instance is None:
            return self
        return Tool(types.MethodType(self.fn, instance), self.name, self.owner, self.permissions)

    def __reduce__(self) -> str:
        return str(self.__dict__["__qualname__"])  # pickled by its name, as functions are

    def __repr__(self) -> str:
        return f"<tool {self.name!r}>"


@overload
def tool(fn: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    fn: None = None, /, *, name: str | None = None, owner: str | None = None, permissions: Sequence[str] = ()
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    fn: Callable[..., Any] | None = None, /, *, name: str | None = None, owner: str | None = None,
    permissions: Sequence[str] = (),
) -> Any:  # fmt: skip
    """Make a function a tool: `@afere.tool`, or `@afere.tool(owner="hr", permissions=["leave:read"])`."""

    def make(fn: Callable[P, R]) -> Tool[P, R]:
        made = Tool(fn, name, owner, permissions)
        try:
            _ = made.parameters  # a parameter that no model can give is told now
        except BadInput as problem:
            if not isinstance(problem.__context__, NameError):  # a type defined further down is looked up later
                raise
        _known[made.name] = made
        return made

    return make if fn is None else make(fn)


def find(name: str) -> Tool[..., Any] | None:
    """The tool this process knows by that name."""
    return _known.get(name)


def specs(names: Sequence[str], project: Project) -> tuple[ToolSpec, ...]:
    """What a model is told of these tools: those defined with `@afere.tool`, else those that afere.yaml lists.

    `mcp:SERVER` is all that an MCP server lists, `mcp:SERVER/TOOL` one of them.
    """
    problems: list[str] = []
    described: dict[str, ToolCard] | None = None
    found: list[ToolSpec] = []
    for name in names:
        if name in _known:
            found.append(_known[name].spec)
            continue
        if name.startswith("mcp:"):
            from afere.chains.mcp.tools import remote

            found += [tool.spec for tool in remote(name, project)]
            continue
        described = merged(list(tool_lists(project, problems))) if described is None else described
        if name not in described:
            known = sorted({*_known, *described})
            if problems:  # the tool may be in what could not be read
                raise BadProject("\n".join(problems))
            raise NotFound(
                f"There is no tool {name!r}.{nearest(name, known)} Known: {', '.join(known) or 'none'}. "
                "Decorate a function with @afere.tool (in a module that is imported), or list it in tools.yaml."
            )
        found.append(_described(described[name]))
    return tuple(found)


def _described(card: ToolCard) -> ToolSpec:
    spec = ToolSpec(card.name, card.description)
    return replace(spec, parameters=dict(card.parameters)) if card.parameters else spec


def tool_name(function: str) -> str:
    """The name of a tool that is given none."""
    return re.sub(r"[^a-z0-9._-]", "-", function.lower()).lstrip("-_.")


def _bound(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments by name, defaults included; `self` left out."""
    bound = inspect.signature(fn).bind(*args, **kwargs)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name != "self"}
