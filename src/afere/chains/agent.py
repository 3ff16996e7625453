"""Agent: a component that may ask for tools until it answers (reason, act, observe; "ReAct", Yao et al., 2022)."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput, NotFound
from afere.base.message import Message, ToolSpec, message
from afere.base.project import Project
from afere.base.steps import Steps, adrive, drive
from afere.chains.chain import Chain, _known
from afere.chains.component import Component
from afere.chains.prompt import as_text
from afere.chains.recorded import ReplayStopped, ToolFailed
from afere.chains.template import nearest
from afere.chains.tool import Tool, find
from afere.chains.waiting import waited
from afere.models import Reply
from afere.tracing import LiveSpan, span
from afere.tracing.capture import Capture, failure


class OutOfSteps(AfereError):
    """An agent used all its steps without answering."""


class Agent(Chain[..., Any]):
    """A component with tools, run until it answers. Takes the component's inputs; `aio` is for a running event loop."""

    kind = "agent"

    def __init__(self, component: Component, tools: Sequence[Tool[..., Any] | str], name: str, max_steps: int) -> None:
        if max_steps < 1:
            raise BadInput(f"agent {name!r}: max_steps is {max_steps}; an agent needs at least one step.")
        self.component = component
        self.tools = tuple(tools)
        self.max_steps = max_steps
        super().__init__(component, name)

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        return drive(self.steps(self._named(args, inputs)))

    async def aio(self, *args: Any, **inputs: Any) -> Any:
        """Like a call, on the running event loop; async tools are awaited there."""
        return await adrive(self.steps(self._named(args, inputs)))

    @property
    def project(self) -> Project:
        return self.component.project

    @property
    def parameters(self) -> tuple[str, ...]:
        return self.component.inputs

    def _named(self, args: tuple[Any, ...], inputs: dict[str, Any]) -> dict[str, Any]:
        names = self.component.inputs
        if len(args) > len(names):
            raise BadInput(f"agent {self.name!r} takes {', '.join(names) or 'nothing'}; {len(args)} values were given.")
        return {**dict(zip(names, args, strict=False)), **inputs}

    def steps(self, inputs: Mapping[str, Any]) -> Steps[Any]:
        """One run as steps."""
        self._state.refresh(self)
        with span(self.name, kind=self.kind) as live:
            live.input(inputs)
            with self.noting():
                tools = self._tools()
                native = getattr(self.component.ready().model, "tools", True)
                answer = yield from (self._native if native else self._constrained)(live, inputs, tools)
            live.output(answer)
            return answer

    def _native(self, live: LiveSpan, inputs: Mapping[str, Any], tools: dict[str, Tool[..., Any]]) -> Steps[Any]:
        """The provider knows tool calls."""
        specs = tuple(tool.spec for tool in tools.values())
        said: tuple[Message, ...] = ()
        for _ in range(self.max_steps):
            reply: Reply = yield from self.component.steps(inputs, more=said, tools=specs)
            if not reply.calls:
                return reply.value if self.component.ready().prompt.output is not None else reply.text
            said += reply.messages
            for call in reply.calls:
                result = yield from _use(live, tools, call.name, call.arguments)
                said += (message("tool", result, call_id=call.id, name=call.name),)
        raise self._stopped(said)

    def _constrained(self, live: LiveSpan, inputs: Mapping[str, Any], tools: dict[str, Tool[..., Any]]) -> Steps[Any]:
        """The provider does not: each step is JSON, either a tool with its arguments or the answer."""
        final = self.component.ready().prompt.output
        schema = _choice([*tools], final)
        lead = (message("system", _explained([tool.spec for tool in tools.values()])),)
        said: tuple[Message, ...] = ()
        for _ in range(self.max_steps):
            reply: Reply = yield from self.component.steps(inputs, lead=lead, more=said, tools=(), output=schema)
            step = cast("dict[str, Any]", reply.value)
            if "answer" in step:
                return step["answer"]
            result = yield from _use(live, tools, step["tool"], step["arguments"])
            said += (*reply.messages, message("user", f"Result of {step['tool']}: {result}"))
        raise self._stopped(said)

    def _tools(self) -> dict[str, Tool[..., Any]]:
        found: dict[str, Tool[..., Any]] = {}
        for wanted in (*self.tools, *self.component.ready().prompt.tools):
            if isinstance(wanted, str) and wanted.startswith("mcp:"):
                from afere.chains.mcp.tools import remote

                found.update((tool.name, tool) for tool in remote(wanted, self.project))
                continue
            tool = find(wanted) if isinstance(wanted, str) else wanted
            if tool is None:
                raise NotFound(
                    f"agent {self.name!r}: there is no tool {wanted!r} to run. Decorate a function with @afere.tool, "
                    "in a module that is imported before the agent runs, or name an MCP server's: mcp:SERVER/TOOL."
                )
            found[tool.name] = tool
        return found

    def _stopped(self, said: tuple[Message, ...]) -> OutOfSteps:
        last = next((one.text for one in reversed(said) if one.role == "assistant" and one.text), "")
        hint = f" It last said: {last[:200]!r}." if last else ""
        return OutOfSteps(
            f"agent {self.name!r} took {self.max_steps} steps without an answer.{hint} "
            "Look at its trace, raise max_steps, or say in its prompt when to stop."
        )


def agent(
    component: Component, tools: Sequence[Tool[..., Any] | str] = (), *, name: str | None = None, max_steps: int = 8
) -> Agent:
    """An agent: `component` answers, or asks for `tools` (and those its prompt names) up to `max_steps` times."""
    made = Agent(component, tools, name or component.name, max_steps)
    _known[made.name] = made
    return made


def _use(live: LiveSpan, tools: dict[str, Tool[..., Any]], name: str, arguments: Any) -> Steps[str]:
    """What the tool says, as the model reads it. A mistake of the model's or of the tool's is said too."""
    tool = tools.get(name)
    if tool is None:
        problem = f"There is no tool {name!r}.{nearest(name, tools)} Tools: {', '.join(tools) or 'none'}."
    else:
        try:
            return as_text(Capture((yield _Call(tool, arguments))).value)
        except (BadInput, ToolFailed) as error:
            problem = str(error)
        except ReplayStopped:
            raise
        except Exception as error:  # the model may find another way
            problem = failure(error)
    live.event("tool error", tool=name, problem=problem)
    return f"error: {problem}"


@dataclass(frozen=True, slots=True)
class _Call:
    tool: Tool[..., Any]
    arguments: Any

    def run(self) -> Any:
        result = self.tool.call(self.arguments)
        return waited(result) if inspect.isawaitable(result) else result

    async def arun(self) -> Any:
        if self.tool.is_async:
            return await self.tool.call(self.arguments)
        return await asyncio.to_thread(self.tool.call, self.arguments)


def _choice(names: list[str], final: Mapping[str, Json] | None) -> dict[str, Json]:
    """A tool with arguments, or the answer."""
    use: Json = {
        "type": "object", "required": ["tool", "arguments"], "additionalProperties": False,
        "properties": {"tool": {"enum": list[Json](names)}, "arguments": {"type": "object"}},
    }  # fmt: skip
    done: Json = {
        "type": "object", "required": ["answer"], "additionalProperties": False,
        "properties": {"answer": {"type": "string"} if final is None else dict(final)},
    }  # fmt: skip
    return {"anyOf": [use, done] if names else [done]}


def _explained(specs: Sequence[ToolSpec]) -> str:
    lines = [f"- {spec.name}: {spec.description} Arguments: {json.dumps(spec.parameters)}" for spec in specs]
    return (
        "You may use these tools, one at a time:\n" + "\n".join(lines) + "\n\nEach turn, reply with JSON only: "
        '{"tool": NAME, "arguments": {...}} to use one, or {"answer": ...} when you know the answer.'
    )
