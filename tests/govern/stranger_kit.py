"""What a stranger needs to write a project: traffic in four dialects, tools, versions, scores, and what was planted in it.

Written from the documentation, before the rules were read: see test_debt_worlds.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import afere.store
from afere.base.clock import from_rfc3339, rfc3339
from afere.base.score import Score
from afere.exchange import bring

NOW = from_rfc3339("2026-11-28T12:00:00Z")
DAY = 86_400_000_000_000
PEOPLE = [
    {"name": "ines.vega", "team": "core"},
    {"name": "tom.hale", "team": "core"},
    {"name": "rui.matos", "team": "core"},
    {"name": "gone.smith", "team": "core", "left": "2026-05-02"},
]
SLOTS = {
    "who": ["Ana", "Bruno", "Carla", "Diego", "Elsa", "Farid", "Greta", "Hugo", "Ivo", "Jana"],
    "place": ["Lisboa", "Porto", "Sevilla", "Leeds", "Oslo", "Turin", "Lyon", "Cork", "Graz", "Faro"],
    "day": ["2026-12-03", "2026-12-11", "2027-01-08", "2027-02-14", "2027-03-30"],
}


@contextmanager
def days_ago(days: float) -> Iterator[None]:
    """The clock stands where it stood so many days before NOW."""
    real, at = time.time_ns, int(NOW - days * DAY)
    time.time_ns = lambda: at  # type: ignore[assignment]
    try:
        yield
    finally:
        time.time_ns = real


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for key, value in values.items():
        match value:
            case None:
                continue
            case bool():
                said: dict[str, Any] = {"boolValue": value}
            case int():
                said = {"intValue": str(value)}
            case float():
                said = {"doubleValue": value}
            case list():
                said = {"arrayValue": {"values": [{"stringValue": one} for one in value]}}
            case _:
                said = {"stringValue": str(value)}
        out.append({"key": key, "value": said})
    return out


@dataclass
class Tool:
    """A tool of an agent, what people ask when it is called, and how it does. `days`: between these days ago it is called."""

    name: str
    description: str | None
    params: str = "id"
    ask: Sequence[str] = ()
    say: str = "Done."
    owner: str | None = "core"
    calls: int = 12
    days: tuple[float, float] = (1, 28)
    seconds: Sequence[float] = (0.2,)
    failures: int = 0
    failed_days: tuple[float, float] | None = None
    permissions: Sequence[str] = ()
    written: bool = True
    offered: bool = True
    args: Sequence[Mapping[str, Any]] = ()
    result: Any = None

    def spec(self) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        required: list[str] = []
        for part in self.params.split():
            name, _, kind = part.rstrip("?").partition(":")
            properties[name] = {"type": kind or "string"}
            if not part.endswith("?"):
                required.append(name)
        said = {"name": self.name, "description": self.description} if self.description else {"name": self.name}
        return said | {"parameters": {"type": "object", "properties": properties, "required": required}}

    def declared(self) -> dict[str, Any]:
        more = {"owner": self.owner} if self.owner else {}
        return self.spec() | more | ({"permissions": list(self.permissions)} if self.permissions else {})


@dataclass
class Call:
    """One call of a tool within a request."""

    tool: str
    args: Mapping[str, Any]
    result: Any = "ok"
    seconds: float = 0.2
    error: str | None = None


@dataclass
class Way:
    """How the requests of a service look in its traces."""

    dialect: str = "genai"  # genai | oi | tl | vercel
    agent: str = "desk"
    service: str = "app"
    version: str | None = "2.3.1"
    model: str = "gpt-4.1-mini"
    prompt: tuple[str, int] | None = ("answer", 2)
    system: str | None = None
    content: bool = True
    llm: float = 0.8
    gap: float = 0.05
    cost: float | None = None
    tokens: tuple[int, int] | None = (900, 120)
    orphan: bool = False  # the model's spans name a parent that never came
    outer: bool = False  # the root names a parent in a service that sends no traces
    parent: tuple[str, str] | None = None  # a trace and a span of another service that calls this one
    user: str | None = None


@dataclass
class World:
    """A project in a folder, and what was planted in it."""

    name: str
    seed: int
    lang: str = "en"
    config: dict[str, Any] = field(default_factory=dict)
    planted: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    spans: dict[tuple[str, str | None], list[dict[str, Any]]] = field(default_factory=dict)
    events: list[tuple[float, int, tuple[Any, ...]]] = field(default_factory=list)
    tools: dict[str, Tool] = field(default_factory=dict)
    traces: list[tuple[float, str]] = field(default_factory=list)
    roots: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.r = random.Random(self.seed)

    def plant(self, rule: str, place: str = "") -> None:
        self.planted.append((rule, place))

    def fill(self, text: str) -> str:
        slots = {name: self.r.choice(values) for name, values in SLOTS.items()}
        return text.format(n=self.r.randint(10000, 99999), **slots)

    def version(self, days: float, name: str, text: str, by: str = "person:ines.vega") -> None:
        self.events.append((days, 0, ("version", name, text, by)))

    def alias(self, days: float, name: str, to: str, by: str = "person:ines.vega") -> None:
        self.events.append((days, 1, ("alias", name, to, by)))

    def score(self, days: float, target: str, name: str, value: Any, by: str, why: str = "", id: str = "") -> None:
        self.events.append((days, 2, ("score", target, name, value, by, why, id)))

    def prompt(self, name: str, body: str, **front: Any) -> None:
        head = yaml.safe_dump({"owner": "ines.vega", "inputs": {"question": "string"}} | front, sort_keys=False)
        self.files[f"prompts/{name}.md"] = f"---\n{head}---\n{body.strip()}\n"

    def suite(self, name: str, rows: Sequence[str], target: str = "", **more: Any) -> None:
        lines = [{"id": f"{name}-{i}", "input": {"question": row}, "expected": "x"} for i, row in enumerate(rows)]
        self.files[f"data/{name}.jsonl"] = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        suite = {"target": target or f"prompts/{name}.md", "data": f"data/{name}.jsonl", "scorers": ["exact"]} | more
        self.files[f"evals/{name}.yaml"] = yaml.safe_dump(suite)

    def _span(self, way: Way, trace: str, parent: str | None, name: str, start: int, seconds: float, said: Mapping[str, Any], error: str | None = None) -> str:  # fmt: skip
        span_id = f"{self.r.getrandbits(64):016x}"
        end = str(int(start + seconds * 1e9))
        span = {
            "traceId": trace,
            "spanId": span_id,
            "name": name,
            "kind": 1,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": end,
            "attributes": _attributes(said),
            "status": {"code": 2, "message": error} if error else {"code": 1},
        }
        if parent:
            span["parentSpanId"] = parent
        if error:
            raised = _attributes({"exception.type": "ToolError", "exception.message": error})
            span["events"] = [{"name": "exception", "timeUnixNano": end, "attributes": raised}]
        self.spans.setdefault((way.service, way.version), []).append(span)
        return span_id

    def request(self, days: float, way: Way, question: str, answer: str, tools: Sequence[Tool] = (), calls: Sequence[Call] = (), steps: Sequence[tuple[str, float, bool]] = ()) -> str:  # fmt: skip
        """One request, so many days ago; steps: (name, seconds, at the same time as the model) of ordinary code."""
        trace = way.parent[0] if way.parent else f"{self.r.getrandbits(128):032x}"
        start = at = int(NOW - days * DAY)
        beside = max((s for _, s, same in steps if same), default=0.0)
        rounds = 2 if calls else 1
        total = max(way.llm * rounds, beside) + sum(c.seconds for c in calls) + way.gap
        total += sum(s for _, s, same in steps if not same)
        parent = way.parent[1] if way.parent else f"{self.r.getrandbits(64):016x}" if way.outer else None
        name, said = _root(way, question, answer)
        root = self._span(way, trace, parent, name, start, total, said)
        below = f"{self.r.getrandbits(64):016x}" if way.orphan else root
        for step, seconds, same in steps:
            self._span(way, trace, root, step, at, seconds, {"http.request.method": "GET"})
            at += 0 if same else int(seconds * 1e9)
        name, said = _asked(way, question, "" if calls else answer, tools, calls)
        self._span(way, trace, below, name, at, way.llm, said)
        at += int(way.llm * 1e9)
        for call in calls:
            name, said = _called(way, call)
            self._span(way, trace, root, name, at, call.seconds, said, call.error)
            at += int(call.seconds * 1e9)
        if calls:
            name, said = _asked(way, question, answer, tools)
            self._span(way, trace, below, name, at, way.llm, said)
        self.traces.append((days, trace))
        self.roots[trace] = root
        return trace

    def flow(self, way: Way, tools: Sequence[Tool], offered: Sequence[Tool] | None = None) -> list[str]:
        """Each tool is called as often as it says, by an agent that is offered all of `offered` (all that are said here)."""
        given = [t for t in (tools if offered is None else offered) if t.offered]
        self.tools.update({t.name: t for t in (*tools, *given)})
        made: list[str] = []
        for tool in tools:
            failing = set(self.r.sample(range(tool.calls), tool.failures))
            for i in range(tool.calls):
                span = tool.failed_days if i in failing and tool.failed_days else tool.days
                days = self.r.uniform(*span)
                error = "upstream said 503" if i in failing else None
                args = dict(tool.args[i % len(tool.args)]) if tool.args else self._arguments(tool)
                call = Call(tool.name, args, tool.result or {"ok": True, "ref": self.r.randint(1, 9999)}, self.r.choice(list(tool.seconds)), error)  # fmt: skip
                ask = self.fill(tool.ask[i % len(tool.ask)])
                made.append(self.request(days, way, ask, self.fill(tool.say), given, [call]))
        return made

    def _arguments(self, tool: Tool) -> dict[str, Any]:
        properties = tool.spec()["parameters"]["properties"]
        return {k: self.r.randint(1, 99) if v["type"] == "integer" else self.fill("{n}") for k, v in properties.items()}

    def write(self, root: Path) -> None:
        """The folder, its store and its traces."""
        folder = root / self.name
        folder.mkdir(parents=True)
        config = {"project": self.name, "team": "core", "people": PEOPLE} | self.config
        written = [t.declared() for t in self.tools.values() if t.written]
        if written:
            config["tools"] = [*config.get("tools", []), *written]
        self.files["afere.yaml"] = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        for path, text in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        with afere.store.open(folder / ".afere", project=self.name) as session:
            for days, _, event in sorted(self.events, key=lambda one: (-one[0], one[1])):
                with days_ago(days):
                    self._happen(session, days, event)
            for i, ((service, version), spans) in enumerate(self.spans.items()):
                resource = _attributes({"service.name": service, "service.version": version})
                scope = [{"scope": {"name": "app"}, "spans": spans}]
                body = {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": scope}]}
                (folder / f"otlp-{i}.json").write_text(json.dumps(body), encoding="utf-8")
                bring("otlp", str(folder / f"otlp-{i}.json"), session)

    def _happen(self, session: afere.store.Session, days: float, event: tuple[Any, ...]) -> None:
        match event:
            case ("version", name, text, by):
                with afere.store.open(session.folder, project=self.name, actor=by) as their:
                    their.put("prompt", name, {"template": text, "inputs": {"question": {"type": "string"}}})
            case ("alias", name, to, by):
                with afere.store.open(session.folder, project=self.name, actor=by) as their:
                    their.alias(name, to, why="released")
            case ("score", target, name, value, by, why, id):
                given = {"id": id} if id else {}
                session.append(Score(target, name, value, by, why, at=rfc3339(int(NOW - days * DAY)), **given))
            case _:
                raise ValueError(event)


def _messages(who: str, text: str) -> str:
    return json.dumps([{"role": who, "parts": [{"type": "text", "content": text}]}])


def _root(way: Way, question: str, answer: str) -> tuple[str, dict[str, Any]]:
    agent = way.agent
    match way.dialect:
        case "oi":
            name, said = agent, {"openinference.span.kind": "AGENT", "agent.name": agent}
            heard = {"input.value": question, "output.value": answer}
        case "tl":
            name = f"{agent}.agent"
            said = {"traceloop.span.kind": "agent", "traceloop.entity.name": agent, "traceloop.workflow.name": agent}
            heard = {"traceloop.entity.input": json.dumps({"inputs": {"question": question}})}
            heard["traceloop.entity.output"] = json.dumps({"outputs": answer})
        case "vercel":
            name = "ai.generateText"
            said = {"ai.operationId": name, "ai.telemetry.functionId": agent, "operation.name": f"{name} {agent}"}
            heard = {"ai.prompt": json.dumps({"prompt": question}), "ai.response.text": answer}
        case _:
            name = f"invoke_agent {agent}"
            said = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": agent}
            heard = {
                "gen_ai.input.messages": _messages("user", question),
                "gen_ai.output.messages": _messages("assistant", answer),
            }
    return name, said | (heard if way.content else {}) | ({"user.id": way.user} if way.user else {})


def _asked(way: Way, question: str, answer: str, tools: Sequence[Tool], wants: Sequence[Call] = ()) -> tuple[str, dict[str, Any]]:  # fmt: skip
    given, spent = [t.spec() for t in tools], way.tokens
    wanted = [
        {"type": "tool_call", "id": f"call_{i}", "name": c.tool, "arguments": dict(c.args)} for i, c in enumerate(wants)
    ]
    said: dict[str, Any] = {"gen_ai.usage.cost": way.cost}
    if way.prompt:
        said |= {"gen_ai.prompt.name": way.prompt[0], "gen_ai.prompt.version": str(way.prompt[1])}
    if spent and way.dialect == "oi":
        said |= {"llm.token_count.prompt": spent[0], "llm.token_count.completion": spent[1]}
    elif spent:
        said |= {"gen_ai.usage.input_tokens": spent[0], "gen_ai.usage.output_tokens": spent[1]}
    match way.dialect:
        case "oi":
            name = "ChatCompletion"
            said |= {"openinference.span.kind": "LLM", "llm.model_name": way.model, "llm.provider": "openai"}
            for i, one in enumerate(given):
                said[f"llm.tools.{i}.tool.json_schema"] = json.dumps({"type": "function", "function": one})
            heard: dict[str, Any] = {}
            for i, (who, text) in enumerate(([("system", way.system)] if way.system else []) + [("user", question)]):
                heard[f"llm.input_messages.{i}.message.role"] = who
                heard[f"llm.input_messages.{i}.message.content"] = text
            heard["llm.output_messages.0.message.role"] = "assistant"
            if answer:
                heard["llm.output_messages.0.message.content"] = answer
            for i, one in enumerate(wanted):
                about = f"llm.output_messages.0.message.tool_calls.{i}.tool_call.function"
                heard |= {f"{about}.name": one["name"], f"{about}.arguments": json.dumps(one["arguments"])}
        case "vercel":
            name = "ai.generateText.doGenerate"
            said |= {"ai.operationId": name, "ai.model.id": way.model, "ai.model.provider": "openai.chat"}
            said |= {"gen_ai.request.model": way.model, "gen_ai.system": "openai"}
            if given:
                said["ai.prompt.tools"] = [
                    json.dumps({"type": "function", **{k: v for k, v in one.items() if k != "parameters"}, "inputSchema": one["parameters"]})
                    for one in given
                ]  # fmt: skip
            system = [{"role": "system", "content": way.system}] if way.system else []
            asked = {"role": "user", "content": [{"type": "text", "text": question}]}
            heard = {"ai.prompt.messages": json.dumps([*system, asked]), "ai.response.text": answer}
            if wanted:
                asks = [
                    {"toolCallId": c["id"], "toolName": c["name"], "input": json.dumps(c["arguments"])} for c in wanted
                ]
                heard["ai.response.toolCalls"] = json.dumps(asks)
        case _:
            name = f"chat {way.model}"
            said |= {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
            said |= {"gen_ai.request.model": way.model, "gen_ai.response.finish_reasons": ["stop"]}
            if given:
                said["gen_ai.tool.definitions"] = json.dumps([{"type": "function", **one} for one in given])
            heard = {
                "gen_ai.input.messages": _messages("user", question),
                "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": wanted}])
                if wanted
                else _messages("assistant", answer),
            }
            if way.system:
                heard["gen_ai.system_instructions"] = json.dumps([{"type": "text", "content": way.system}])
    return name, said | (heard if way.content else {})


def _called(way: Way, call: Call) -> tuple[str, dict[str, Any]]:
    args, tool = json.dumps(call.args), call.tool
    result = None if call.error else call.result if isinstance(call.result, str) else json.dumps(call.result)
    if not way.content:
        args = result = None
    match way.dialect:
        case "oi":
            return tool, {"openinference.span.kind": "TOOL", "tool.name": tool, "input.value": args, "output.value": result}  # fmt: skip
        case "tl":
            said = {"traceloop.span.kind": "tool", "traceloop.entity.name": tool}
            return f"{tool}.tool", said | {"traceloop.entity.input": args, "traceloop.entity.output": result}
        case "vercel":
            said = {"ai.operationId": "ai.toolCall", "ai.toolCall.name": tool}
            return "ai.toolCall", said | {"ai.toolCall.args": args, "ai.toolCall.result": result}
        case _:
            said = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool}
            return f"execute_tool {tool}", said | {
                "gen_ai.tool.call.arguments": args,
                "gen_ai.tool.call.result": result,
            }
