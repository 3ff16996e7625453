"""Where importers put what they read: kept once however often it comes, counted, and what is lost said field by field."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from afere.base.artifact import BROUGHT, Artifact, slug
from afere.base.canonical import Json
from afere.base.errors import AfereError, BadInput
from afere.base.project import find_project
from afere.base.score import Score, Value
from afere.base.span import Span
from afere.chains.prompt import prompt_of
from afere.data import dataset
from afere.tracing import dialects
from afere.tracing.dialects import shapes
from afere.tracing.policy import Policy

if TYPE_CHECKING:
    from afere.store import Session

_BATCH = 2_000  # spans of one transaction
_SCORES = 1_000
_SHOWN = 20  # problems by name in a report; the rest is counted
How = Literal["kept", "changed", "not kept"]
Said = dict[str, Any]  # one thing of another tool, as its file has it


@dataclass(frozen=True, slots=True)
class Line:
    """One field of the source: what became of it, how often, and why."""

    field: str
    how: How
    count: int
    why: str

    def to_json(self) -> Json:
        return {"field": self.field, "how": self.how, "count": self.count, "why": self.why}


@dataclass(frozen=True, slots=True)
class Report:
    """What an import brought: `counts` by kind of thing, `lines` field by field, `problems` that left something out."""

    source: str
    counts: Mapping[str, int]
    there: int  # of what was brought, how much was here already
    lines: tuple[Line, ...]
    problems: tuple[str, ...]
    more: int  # problems that are counted and not named

    def to_json(self) -> dict[str, Json]:
        return {
            "source": self.source, "counts": dict(self.counts), "there": self.there,
            "fields": [one.to_json() for one in self.lines], "problems": list(self.problems), "more_problems": self.more,
        }  # fmt: skip


@dataclass
class Bringing:
    """One import. Nothing here raises for one bad item: it is counted, and the rest goes on."""

    session: Session
    source: str
    watch: Callable[[Mapping[str, int]], None] | None = None  # told now and then how many of each kind there are
    _policy: Policy = field(init=False)
    _spans: list[Span] = field(default_factory=list[Span])
    _scores: list[Score] = field(default_factory=list[Score])
    _counts: Counter[str] = field(default_factory=Counter[str])
    _fields: Counter[tuple[str, How, str]] = field(default_factory=Counter[tuple[str, How, str]])
    _problems: list[str] = field(default_factory=list[str])
    _traces: set[str] = field(default_factory=set[str])
    _made: dict[tuple[str, str], Artifact] = field(default_factory=dict[tuple[str, str], Artifact])
    _refs: set[str] = field(default_factory=set[str])  # of `_made`
    _there: int = 0

    def __post_init__(self) -> None:
        self._policy = Policy.of(find_project(), content=True, redact=())

    # what became of fields

    def kept(self, name: str, count: int = 1) -> None:
        """A field of the source is here as it was."""
        self._fields[name, "kept", ""] += count

    def changed(self, name: str, why: str, count: int = 1) -> None:
        """A field is here in another form."""
        self._fields[name, "changed", why] += count

    def lost(self, name: str, why: str, count: int = 1) -> None:
        """A field is not here."""
        self._fields[name, "not kept", why] += count

    def problem(self, what: str, why: str) -> None:
        """Something of the source could not be read, and is left out."""
        self._problems.append(f"{what}: {why}")

    def attempt(self, where: str, expected: str, take: Callable[[Said, Bringing], None], said: Said) -> None:
        """Take a record; one that cannot be read is named with where it stands, and `expected` says what should be there."""
        try:
            take(said, self)
        except KeyError as problem:
            self.problem(where, f"it has no {problem}; {expected}")
        except (AttributeError, BadInput, TypeError, ValueError) as problem:
            self.problem(where, str(problem))

    # what comes

    def span(self, span: Span, *, read: bool = True, prompts: Iterable[tuple[str, str]] = ()) -> None:
        """Keep a span; what its attributes mean is read by the dialects. `prompts`: name and version there of those it used."""
        try:
            found = self._policy.hidden(span)
            if read:
                dialects.read(found)
            for made in filter(None, map(self._made.get, prompts)):
                found.artifacts.append((made.ref, made.hash))
                self.kept("version of a prompt that a span used")
            self._spans.append(self._policy.apply(found))
        except Exception as problem:  # a form that no map foresaw
            self.problem(f"span {span.trace_id}/{span.span_id}", str(problem))
            return
        self._counts["spans"] += 1
        if span.trace_id not in self._traces:
            self._traces.add(span.trace_id)
            self._counts["traces"] += 1
        if len(self._spans) >= _BATCH:
            self._flush()

    def score(
        self, target: str, name: str, value: Value, by: str, *, key: str, at: str, why: str = "",
        data: Mapping[str, Json] | None = None,
    ) -> None:  # fmt: skip
        """Keep a score, once for each `key`, which names it in the source."""
        try:
            id_ = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.source} {key}")).replace("-", "")
            self._scores.append(Score(target, name, value, by, why, at, id_, dict(data or {})))
        except AfereError as problem:
            self.problem(f"score {key}", str(problem))
            return
        self._counts["scores"] += 1
        if len(self._scores) >= _SCORES:
            self._flush()

    def prompt(
        self, name: str, body: str, *, at: str | None, why: str, label: str, version: object = None, **fields: Json
    ) -> Artifact | None:
        """Keep a version of a prompt: our template, with `# role` lines, and the other fields of a prompt file.

        `version` is how the source calls it, so that spans may say which they used.
        """
        try:
            written = prompt_of(legal(name), body, label=label, **fields)
            made = self._put("prompts", "prompt", written.name, written.content, why=why, at=at)
        except AfereError as problem:
            self.problem(f"prompt {name}", str(problem))
            return None
        if made.ref in self._refs:
            self.changed("version of a prompt", "what says the same as an earlier version is that version")
        self._made[name, str(made.version if version is None else version)] = made
        self._refs.add(made.ref)
        return made

    def alias(self, artifact: Artifact, name: str, *, tool: str) -> None:
        """Point an alias at a version as that tool has it, unless one is there."""
        word = legal(name).replace(".", "-")
        whole = f"{artifact.kind}:{artifact.name}@{word}"
        try:
            if self.session.find("aliases", ref=f"{artifact.kind}:{artifact.name}", alias=word, current=True).items:
                return
            self.session.alias(whole, artifact.ref, why=f"{BROUGHT}{tool}")
            self._counts["aliases"] += 1
        except AfereError as problem:
            self.problem(f"alias {whole}", str(problem))

    def dataset(self, name: str, rows: Iterable[Mapping[str, Any]]) -> str | None:
        """Keep a version of a dataset; its reference, or None where it cannot be kept."""
        try:
            made = dataset(list(rows), name=legal(name))
        except AfereError as problem:
            self.problem(f"dataset {name}", str(problem))
            return None
        self._counts["datasets"] += 1
        self._counts["rows"] += len(made)
        return made.ref

    def _put(self, what: str, kind: str, name: str, content: Json, *, why: str, at: str | None) -> Artifact:
        before = self.session.find("artifacts", kind=kind, name=name, limit=1).items
        made = self.session.put(kind, name, content, why=why, at=at)
        self._counts[what] += 1
        self._there += made.ref not in self._refs and bool(before) and made.version <= before[0].version
        return made

    def _flush(self) -> None:
        if self._spans:
            traces = list(dict.fromkeys(span.trace_id for span in self._spans))
            before = self.session.spans.count(traces)
            self.session.spans.write(self._spans)
            self._there += len(self._spans) - (self.session.spans.count(traces) - before)
        if self._scores:
            self.session.append(*self._scores)
        self._spans, self._scores = [], []
        if self.watch:
            self.watch(self._counts)

    def done(self) -> Report:
        """Keep what waits, and say what came of all."""
        self._flush()
        order = {"kept": 0, "changed": 1, "not kept": 2}
        lines = sorted(
            (Line(name, how, count, why) for (name, how, why), count in self._fields.items()),
            key=lambda one: (order[one.how], one.field),
        )
        shown = tuple(self._problems[:_SHOWN])
        return Report(
            self.source, dict(self._counts), self._there, tuple(lines), shown, len(self._problems) - len(shown)
        )


def model_call(span: Span) -> Span:
    """A span whose fields are filled, with the messages of a call to a model, and what a tool was given and answered."""
    if span.kind == "llm":
        span.input_messages = shapes.messages(span.input, "user")
        span.output_messages = shapes.messages(span.output, "assistant")
    elif span.kind == "tool":
        span.tool = {
            "name": span.name, "arguments": shapes.tool_arguments(span.input), "result": shapes.tool_result(span.output),
        }  # fmt: skip
    elif span.kind == "retrieval":
        span.documents = shapes.documents(span.output)
    return span


def legal(name: str) -> str:
    """A name as references take it: `Answer Well/2` -> `answer-well-2`."""
    word = slug(name)
    if not word:
        raise BadInput(f"{name!r} has no letter or digit to be called by.")
    return word if word[0].isalpha() else f"n-{word}"


def hex_id(text: str, digits: int) -> str:
    """An id of so many hex digits: a UUID's own where it has them, else made from the text, always the same."""
    plain = text.replace("-", "").lower()
    if re.fullmatch(rf"[0-9a-f]{{{digits}}}", plain) and plain.strip("0"):
        return plain
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


ROLES = ("system", "user", "assistant", "tool")  # of a prompt's messages


def role_of(said: object) -> str:
    """A message's role as our prompts have it; BadInput for one that they do not."""
    role = {"developer": "system"}.get(str(said), str(said))
    if role not in ROLES:
        raise BadInput(f"the role {role!r} of a message is not known; known: {', '.join(ROLES)}")
    return role


_MUSTACHE = re.compile(r"\{\{\s*([A-Za-z_][\w.]*)\s*\}\}")
_F_STRING = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}")


def from_mustache(text: str) -> str:
    """A template with `{{name}}` as ours: all else that would mean something to our engine is kept as text."""
    parts = _MUSTACHE.split(text)
    return "".join(f"{{{{ {part} }}}}" if i % 2 else escaped(part) for i, part in enumerate(parts))


def from_f_string(text: str) -> str:
    """A template with `{name}` as ours; `{{` and `}}` are braces."""
    made: list[str] = []
    end = 0
    for found in _F_STRING.finditer(text):
        made.append(escaped(text[end : found.start()]))
        made.append(f"{{{{ {found[1]} }}}}" if found[1] else escaped(found[0][0]))
        end = found.end()
    return "".join([*made, escaped(text[end:])])


_MEANT = re.compile(r"\{\{|\{%|\{#|^#(?= (?:system|user|assistant|tool)[ \t]*$)", re.MULTILINE)


_ROLE_LINE = re.compile(r"^#(?= (?:system|user|assistant|tool)[ \t]*$)", re.MULTILINE)


def from_jinja(text: str) -> str:
    """A template of Jinja as ours, whose engine reads the same; only what would begin a role is kept as text. What is no Jinja
    is read as if it had names in braces alone."""
    written = _ROLE_LINE.sub("{{ '#' }}", text)
    try:
        prompt_of("template", written, label="template")
    except BadInput:
        return from_mustache(text)
    return written


def escaped(text: str) -> str:
    """A text that our templates print as it is, and that begins no other role."""
    return _MEANT.sub(lambda found: f"{{{{ '{found[0]}' }}}}", text)


def body_of(messages: Iterable[tuple[str, str]]) -> str:
    """The body of a prompt file of (role, template) pairs; a single message of a user is its text alone."""
    pairs = list(messages)
    if len(pairs) == 1 and pairs[0][0] == "user":
        return pairs[0][1]
    return "\n\n".join(f"# {role}\n{text}" for role, text in pairs)
