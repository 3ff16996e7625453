"""Prompt files: YAML front matter and a template cut into roles. The same text, stored, is the artifact `prompt:NAME`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs

from afere.base.artifact import Artifact, check_name, identity, slug
from afere.base.canonical import Json, plain
from afere.base.document import Document, check, read_yaml, schema_problem
from afere.base.errors import BadPrompt, BadReference
from afere.base.message import Message, message
from afere.base.project import Project
from afere.chains.nearest import Chooser, Nearest, Picked
from afere.chains.promptschema import PROMPT_SCHEMA, SNIPPETS, VERSIONED
from afere.chains.template import (
    Section,
    Template,
    Texts,
    gather,
    gather_known,
    nearest,
    plain_text,
    read_text,
    split_roles,
    stamp,
)

if TYPE_CHECKING:
    from afere.chains.shots import Source
    from afere.store import Session

FOREIGN = (
    ".prompt.yml",
    ".prompt.yaml",
    ".prompty",
    ".prompt",
)  # how files of other tools are named; see chains.shapes


@dataclass(frozen=True, slots=True)
class Example:
    """A pair shown to the model. `input` is the user's text, or values for the last user message; `row`: where it is from."""

    input: str | Mapping[str, Json]
    output: Json
    row: str = ""

    def to_json(self) -> Json:
        said: dict[str, Json] = {"row": self.row} if self.row else {}
        return {
            "input": self.input if isinstance(self.input, str) else dict(self.input),
            "output": self.output,
            **said,
        }


@dataclass(frozen=True)
class Prompt:
    """What one prompt file says. `model` and `parameters` belong to the component, not to the prompt's version.

    `files` are the files read and their (mtime in ns, size), so that an edit is noticed. `inputs` None: whatever the
    template names. `sources` are the datasets that examples and snippets were taken from.
    """

    name: str
    body: str
    template: Template
    inputs: Mapping[str, Mapping[str, Json]] | None = None
    output: Mapping[str, Json] | None = None
    examples: tuple[Example, ...] = ()
    nearest: Nearest | None = None  # of the examples, those that are shown; None: all
    tools: tuple[str, ...] = ()
    model: str | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict[str, "Json"])
    owner: str | None = None
    description: str | None = None
    file: str = ""
    files: tuple[tuple[Path, tuple[int, int]], ...] = ()
    snippets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    sources: tuple[Source, ...] = ()

    @cached_property
    def content(self) -> dict[str, Json]:
        """What the artifact `prompt:NAME` holds."""
        content: dict[str, Json] = {"template": self.body, "inputs": None, "output": None}
        if self.inputs is not None:
            content["inputs"] = {name: dict(schema) for name, schema in self.inputs.items()}
        if self.output is not None:
            content["output"] = dict(self.output)
        if self.examples:
            pairs: list[Json] = [example.to_json() for example in self.examples]
            content["examples"] = pairs if self.nearest is None else {"data": pairs, **self.nearest.to_json()}
        if self.snippets:
            content["snippets"] = {name: list(texts) for name, texts in self.snippets.items()}
        if self.tools:
            content["tools"] = list(self.tools)
        if self.template.includes:
            content["includes"] = dict(self.template.includes)
        return content

    @cached_property
    def hash(self) -> str:
        """The identity of the artifact `prompt:NAME`."""
        return identity("prompt", self.name, self.content, None, ())

    def put(self, session: Session, *, why: str, after: int | None = None, told: bool = False) -> Artifact:
        """The version with this content, made when there is none, and those of the datasets that it shows.

        `after` as in `Session.put`; `told`: who calls tells what lint finds, so that it is not logged too.
        """
        uses = [use for source in self.sources if (use := source.use(session)) is not None]
        put = partial(session.put_once, None) if told else session.put
        return put("prompt", self.name, self.content, uses=uses, why=why, after=after)

    @cached_property
    def variables(self) -> dict[str, str]:
        """The names that its template takes from the inputs, with the place (`file:line`) where each first stands."""
        return {name: place for name, place in self.template.names.items() if not (self.snippets and name == SNIPPETS)}

    @cached_property
    def input_names(self) -> tuple[str, ...]:
        """The inputs it takes, in the order they are written."""
        return tuple(self.inputs) if self.inputs is not None else tuple(self.variables)

    @cached_property
    def _validator(self) -> Any:
        properties = {name: dict(schema) for name, schema in (self.inputs or {}).items()}
        return jsonschema_rs.validator_for({"type": "object", "properties": properties})

    def values(self, given: Mapping[str, object]) -> dict[str, Json]:
        """The inputs as plain JSON, with defaults filled in; BadPrompt names what is missing, unknown or of another type."""
        known = self.input_names
        for name in given:
            if name not in known:
                takes = ", ".join(known) or "no inputs"
                raise BadPrompt(
                    f"prompt {self.name!r} has no input {name!r}.{nearest(name, known)} It takes: {takes} ({self.file})."
                )
        values = {name: plain(value, where=f"prompt {self.name!r}: input {name}") for name, value in given.items()}
        for name in known:
            if name in values:
                continue
            schema = (self.inputs or {}).get(name, {})
            if "default" not in schema:
                raise BadPrompt(
                    f"prompt {self.name!r} needs the input {name!r}. Given: {', '.join(given) or 'nothing'} ({self.file})."
                )
            values[name] = schema["default"]
        if self.inputs and not self._validator.is_valid(values):
            for name, schema in self.inputs.items():
                if problem := schema_problem(values[name], schema):
                    where, _, what = problem.partition(": ")
                    place = name if where == "value" else f"{name}.{where}"
                    raise BadPrompt(f"prompt {self.name!r}: input {place}: {what} ({self.file}).")
        return values

    def render(self, values: Mapping[str, Json]) -> list[Message]:
        """The messages for checked `values`, examples before the last user message."""
        messages = self._filled(values)
        if not messages:
            raise BadPrompt(f"{self.file}: prompt {self.name!r} is empty once filled in.")
        if self.examples:
            users = [i for i, said in enumerate(messages) if said.role == "user"]
            place = users[-1] if users else len(messages)
            chosen = None if self.nearest is None else [self._shot(one.number) for one in self.chosen(values)]
            messages[place:place] = self.shots if chosen is None else [said for pair in chosen for said in pair]
        return messages

    @cached_property
    def chosen(self) -> Callable[[Mapping[str, Json]], tuple[Picked, ...]]:
        """Which examples are shown for checked values; none where all of them always are."""
        return (lambda _: ()) if self.nearest is None else Chooser(self.name, self.examples, self.nearest)

    def showing(self, count: int) -> Prompt:
        """The same with another number of examples chosen at each call; as it is where none are chosen."""
        if self.nearest is None or self.nearest.count == count:
            return self
        if count not in self._showing:
            self._showing[count] = replace(self, nearest=replace(self.nearest, count=count))
        return self._showing[count]

    @cached_property
    def _showing(self) -> dict[int, Prompt]:
        return {}

    @cached_property
    def shots(self) -> list[Message]:
        """All examples as messages; BadPrompt names the one that does not fit the inputs."""
        return [said for number in range(len(self.examples)) for said in self._shot(number)]

    def _shot(self, number: int) -> list[Message]:
        """One example: what is asked, and the answer."""
        example = self.examples[number]
        users = [i for i, section in enumerate(self.template.sections) if section.role == "user"]
        if isinstance(example.input, str):
            asked = [message("user", example.input)]
        elif not users:
            raise BadPrompt(f"{self.file}: examples need a '# user' message to fill in, and this prompt has none.")
        else:
            try:
                values = self.values(example.input)
                asked = self._filled(values, only=users[-1])
            except BadPrompt as problem:
                raise BadPrompt(f"{self.file}: example {number + 1}: {problem}") from None
        return [*asked, message("assistant", as_text(example.output))]

    def _filled(self, values: Mapping[str, Json], *, only: int | None = None) -> list[Message]:
        texts = {name: Texts(said) for name, said in self.snippets.items()}
        return self.template.render({**values, SNIPPETS: cast("Json", texts)} if texts else values, only=only)

    @property
    def changed(self) -> bool:
        """Whether a file it was read from is not what it was, or a row that it shows has expired."""
        if self._until is not None and time.time() >= self._until:
            return True
        return any(stamp(path) != before for path, before in self.files)

    @cached_property
    def _until(self) -> float | None:
        return min((source.until for source in self.sources if source.until is not None), default=None)


def as_text(value: Json) -> str:
    """Text as it is; anything else as JSON, the way a model is shown it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def load_prompt(path: Path, project: Project, *, text: str | None = None) -> Prompt:
    """Read a prompt file, ours or another tool's, and what it includes and quotes. Errors name file, line and field.

    `text`: as if the file said this; what it includes is read from the disk.
    """
    before = stamp(path)  # taken first: an edit while reading is then seen at the next call
    text = read_text(path) if text is None else plain_text(text, str(path))
    if path.name.endswith(FOREIGN):
        return _foreign(path, text, before)
    document, body, line = _front_matter(text, str(path))
    fields = cast("dict[str, Json]", document.value or {})
    sections = split_roles(body, file=str(path), first_line=line)
    roots = (path.parent, project.root / "prompts")
    found = gather(sections, file=str(path), roots=roots)
    stamps = [(path, before), *((where, stamp(where)) for _, where in found.values())]

    def rows(role: str, said: str, place: str) -> Source:
        from afere.chains.shots import read_source

        return read_source(role, said, place, path, project)

    shown, sources = _shown(document, rows)
    stamps += [(source.file, source.stamp) for source in sources if source.file]
    name = fields.get("name")
    return _build(
        str(name) if name is not None else slug(path.stem), body, document, shown,
        {key: included for key, (included, _) in found.items()}, first_line=line, files=tuple(stamps), project=project,
        sources=sources,
    )  # fmt: skip


def written_prompt(name: str, text: str, *, session: Session, base: Artifact | None) -> Prompt:
    """What a text says that is written like a file of ours, in a form on a page: for it no file is read.

    Rows come from datasets in the store, and what it includes from `base`, the version that it was made of. BadPrompt names
    line and field.
    """
    document, body, line = _front_matter(plain_text(text, name), name)
    for key in cast("dict[str, Json]", document.value or {}):
        if key not in VERSIONED:
            raise BadPrompt(
                f"{document.at((key,))}: {key}: no version of a prompt holds it, so that it is not kept from here. It stands in the "
                f"prompt's file. What a version holds: {', '.join(VERSIONED)}."
            )

    def rows(role: str, said: str, place: str) -> Source:
        from afere.chains.shots import kept_source

        if "/" in said or "\\" in said:
            raise BadPrompt(
                f"{place}: {said!r}: files are not read from here. Name a dataset of the store, such as qa or qa@3, or write it out."
            )
        return kept_source(role, said, place, session)

    shown, sources = _shown(document, rows)
    sections = split_roles(body, file=name, first_line=line)
    content = cast("dict[str, Json]", base.content) if base is not None else {}
    known = cast("dict[str, str]", content.get("includes") or {})
    includes = gather_known(sections, known, file=name)
    return _build(name, body, document, shown, includes, first_line=line, sources=sources)


def _shown(document: Document, read: Callable[[str, str, str], Source]) -> tuple[dict[str, Json], tuple[Source, ...]]:
    """(the examples and snippets of a front matter, the datasets that they are from); `read` gets role, name and place."""
    fields = cast("dict[str, Json]", document.value or {})
    examples, snippets = fields.get("examples"), dict(cast("dict[str, Json]", fields.get(SNIPPETS) or {}))
    chosen = examples if isinstance(examples, dict) else None
    data: Json = chosen["data"] if chosen else examples
    named = [(name, said) for name, said in snippets.items() if isinstance(said, str)]
    sources: list[Source] = []
    if named or isinstance(data, str):
        from afere.chains.shots import EXAMPLES, snippet

        if isinstance(data, str):
            sources.append(read(EXAMPLES, data, document.at((EXAMPLES,))))
            held: dict[str, Json] = {**(chosen or {}), "data": sources[-1].named}
            examples = held if chosen else list(sources[-1].values)
        for name, said in named:
            sources.append(read(snippet(name), said, document.at((SNIPPETS, name))))
            snippets[name] = list(sources[-1].values)
    return {"examples": examples, SNIPPETS: snippets}, tuple(sources)


def _foreign(path: Path, text: str, stamp: tuple[int, int]) -> Prompt:
    """A prompt of another tool. BadPrompt where part of what it says would be missing."""
    from afere.chains.shapes import read_shape

    found = read_shape(path, text)
    if lost := next((one for one in found.told if one.spoils), None):
        raise BadPrompt(
            f"{path}: {lost.field}: {lost.why}. To see all that is left out and go on without it: "
            f"afere prompt convert {path.name} --to afere"
        )
    given = {key: value for key, value in found.fields.items() if key != "name" and value not in (None, {}, [])}
    document = Document(cast("Json", given), str(path))
    check(document, PROMPT_SCHEMA, error=BadPrompt)
    name = found.name
    return _build(name, found.body, document, {}, {}, sections=found.sections, files=((path, stamp),))


def stored_prompt(artifact: Artifact) -> Prompt:
    """The prompt an artifact holds."""
    content = artifact.content
    if not isinstance(content, dict) or not isinstance(body := content.get("template"), str):
        raise BadPrompt(
            f"{artifact.ref} holds no template, so it is no prompt. Put one with afere.prompt or afere prompt push."
        )
    fields = {key: content[key] for key in ("inputs", "output", "tools") if content.get(key) is not None}
    includes = cast("dict[str, str]", content.get("includes") or {})
    document = Document(cast("Json", fields), artifact.ref)
    return _build(artifact.name, body, document, content, includes)


def prompt_of(name: str, body: str, *, label: str, **fields: Json) -> Prompt:
    """A prompt that was written elsewhere: a template, and fields as in front matter. `label` is how errors call it."""
    document = Document({key: value for key, value in fields.items() if value is not None}, label)
    check(document, PROMPT_SCHEMA, error=BadPrompt)
    return _build(name, body.strip("\n"), document, fields, {})


def _build(
    name: str, body: str, document: Document, shown: Mapping[str, Json], includes: Mapping[str, str], *,
    first_line: int = 1, files: tuple[tuple[Path, tuple[int, int]], ...] = (),
    sections: tuple[Section, ...] | None = None, project: Project | None = None, sources: tuple[Source, ...] = (),
) -> Prompt:  # fmt: skip
    fields, file = cast("dict[str, Any]", document.value or {}), document.file
    try:
        check_name(name, "prompt")
    except BadReference as problem:
        own = "" if "name" in fields else " That is what is left of the file's name: write name: in the front matter."
        raise BadPrompt(f"{document.at(('name',))}: name: {problem}{own}") from None
    inputs: dict[str, Mapping[str, Json]] | None = None
    if (declared := fields.get("inputs")) is not None:
        inputs = {key: {"type": value} if isinstance(value, str) else value for key, value in declared.items()}
        for key, schema in inputs.items():
            _check_schema(schema, document, ("inputs", key))
    output = cast("Mapping[str, Json] | None", fields.get("output"))
    if output is not None:
        _check_schema(output, document, ("output",))
    if sections is None:
        sections = split_roles(body, file=file, first_line=first_line)
    template = Template(sections, includes, file)
    texts = {name: tuple(said) for name, said in cast("dict[str, list[str]]", shown.get(SNIPPETS) or {}).items()}
    _check_snippets(texts, template, inputs, document)
    if inputs is not None:
        for word, place in template.names.items():
            if word not in inputs and not (texts and word == SNIPPETS):
                raise BadPrompt(
                    f"{place}: {word!r} is not among the inputs of this prompt: {', '.join(inputs) or 'none'}."
                    f"{nearest(word, inputs)} Declare it under inputs: ({document.at(('inputs',))})."
                )
    else:
        _ = template.names  # compiles, so that a broken template is an error now and not at the first call
    examples = shown.get("examples")
    choosing = _nearest(examples, document, tuple(inputs if inputs is not None else template.names), project)
    held = cast("Sequence[Any]", (examples["data"] if isinstance(examples, dict) else examples) or ())
    shots = tuple(Example(pair["input"], pair["output"], pair.get("row", "")) for pair in held)
    return Prompt(
        name, body, template, inputs, output, shots, choosing, tuple(fields.get("tools") or ()), fields.get("model"),
        fields.get("parameters") or {}, fields.get("owner"), fields.get("description"), file, files, texts, sources,
    )  # fmt: skip


def _check_snippets(
    snippets: Mapping[str, tuple[str, ...]], template: Template, inputs: Mapping[str, Any] | None, document: Document
) -> None:
    if not snippets:
        return
    if SNIPPETS in (inputs or {}):
        place = document.at(("inputs", SNIPPETS))
        raise BadPrompt(f"{place}: an input cannot be called {SNIPPETS!r} beside snippets:. Give it another name.")
    for name, place in template.below(SNIPPETS).items():
        if name not in snippets:
            raise BadPrompt(
                f"{place}: there is no snippet {name!r}.{nearest(name, snippets)} "
                f"Under snippets: ({document.at((SNIPPETS,))}): {', '.join(snippets)}."
            )


def _nearest(said: Json, document: Document, inputs: Sequence[str], project: Project | None) -> Nearest | None:
    """How examples are chosen at each call, where they are."""
    if not isinstance(said, dict):
        return None
    by = tuple(cast("list[str]", said.get("by") or ()))
    for name in by:
        if name not in inputs:
            raise BadPrompt(
                f"{document.at(('examples',))}: examples: by: {name!r} is no input of this prompt.{nearest(name, inputs)} "
                f"Its inputs: {', '.join(inputs) or 'none'}."
            )
    return Nearest(cast("int", said["nearest"]), by, str(said.get("embed", "hash")), project)


def _front_matter(text: str, file: str) -> tuple[Document, str, int]:
    """(what the front matter says, the body, the line at which the body begins)."""
    lines = text.split("\n")
    if lines[0].rstrip() != "---":
        return Document(None, file, {(): 1}), text.strip("\n"), 1 + len(text) - len(text.lstrip("\n"))
    end = next((number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"), None)
    if end is None:
        raise BadPrompt(
            f"{file}:1: the front matter is never closed. End it with a line ---, before the first message."
        )
    document = read_yaml("\n".join(lines[1:end]), file=file, first_line=2, error=BadPrompt)
    unknown = set(cast("dict[str, Json]", document.value)) if isinstance(document.value, dict) else set[str]()
    for name in sorted(unknown - set(cast("dict[str, Json]", PROMPT_SCHEMA["properties"]))):
        fields = cast("dict[str, Json]", PROMPT_SCHEMA["properties"])
        raise BadPrompt(
            f"{document.at((name,))}: there is no field {name!r} in a prompt file.{nearest(name, fields)} "
            f"Fields: {', '.join(fields)}."
        )
    check(document, PROMPT_SCHEMA, error=BadPrompt)
    body = "\n".join(lines[end + 1 :])
    lead = len(body) - len(body.lstrip("\n"))
    return document, body.strip("\n"), end + 2 + lead


def _check_schema(schema: Mapping[str, Json], document: Document, path: tuple[str, ...]) -> None:
    try:
        jsonschema_rs.validator_for(dict(schema))
    except (ValueError, jsonschema_rs.ValidationError) as problem:
        said = str(getattr(problem, "message", problem)).splitlines()[0]
        raise BadPrompt(f"{document.at(path)}: {'.'.join(path)}: not a JSON Schema: {said}.") from None
