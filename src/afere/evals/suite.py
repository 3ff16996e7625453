"""Suite: what is evaluated, on which rows, by whom, and what must hold. `evals/qa.yaml`, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar, cast

from afere.base.artifact import check_name
from afere.base.canonical import Json
from afere.base.document import Document, check, read_yaml
from afere.base.errors import BadInput, NotFound
from afere.base.filter import parse_filter
from afere.base.project import FILE, Project
from afere.base.rule import BUILTIN, Rule, parse_rule
from afere.data.place import shown
from afere.data.shapes import Told, shape_of
from afere.evals import gate
from afere.evals.bakeoff.sweep import SWEEP_SCHEMA, Sweep, sweep_from
from afere.evals.conversing import Turns, conversing
from afere.evals.past import Wanted
from afere.evals.scorers import Judging, named
from afere.evals.select import FIELDS
from afere.evals.stopping import Kind
from afere.evals.subject import Subject, importable, subject_of

T = TypeVar("T")
NAMED_SLICES = ("tags", "split", "group")  # one slice for each value

SUITE_SCHEMA: dict[str, Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "afere suite",
    "description": "What is evaluated, on which rows, by which scorers, and what must hold.",
    "type": "object",
    "required": ["scorers"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9._-]*$", "description": "default: the file's stem"},
        "target": {
            "type": ["string", "null"],
            "description": "a chain of afere.yaml, module:function, prompts/FILE.md, http(s)://...; left out: the rows' own outputs are scored",
        },
        "data": {"type": "string", "description": "a file of rows, or a dataset such as dataset:qa@7"},
        "shape": {
            "type": ["string", "object"],
            "additionalProperties": {"type": "string"},
            "description": "how the rows are written, where their keys do not say it: ragas, afere, or a map such as {expected: answer}",
        },
        "traces": {
            "type": "string",
            "description": "past traces by a filter such as chain:qa since:7d, in place of target and data: they are scored as they are",
        },
        "most": {"type": "integer", "minimum": 1, "description": "of traces: the newest so many; 200 unless said"},
        "sample": {"type": "integer", "minimum": 1, "description": "of traces: so many at random, with a fixed seed"},
        "scorers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "pattern": "^[a-z][a-z0-9._-]*$"},
                            "kind": {"type": "string", "description": "the scorer, when the name is your own"},
                            "of": {"type": "string", "description": "score the spans of this component"},
                            "rubric": {"type": "string", "description": "of a judge: text, or a file"},
                            "scale": {"type": "array", "minItems": 2, "items": {"type": ["string", "number"]}},
                        },
                    },
                ]
            },
        },
        "repeats": {"type": "integer", "minimum": 1, "maximum": 1000},
        "against": {"type": "string", "description": "baseline (the file in git), qa@production, or experiment:12"},
        "stop": {
            "enum": ["group-sequential", "anytime"],
            "description": "stop as soon as the rules are decided: at five looks fixed before, or after any case",
        },
        "turns": {
            "enum": ["live", "recorded"],
            "description": "rows with messages are asked turn by turn; in the history stand the target's own answers, or the row's",
        },
        "slices": {
            "type": "array",
            "items": {"type": "string"},
            "description": "tags, split or group for one slice each, or a filter such as tag:edge",
        },
        "gate": {"type": "array", "items": {"type": "string"}, "description": "rules that must hold"},
        "sweep": SWEEP_SCHEMA,
    },
}


@dataclass(frozen=True)
class Suite:
    """A suite, checked. `baseline` is its file of accepted results, kept in git."""

    name: str
    subject: Subject
    data: str
    scorers: tuple[Judging, ...]
    baseline: Path
    repeats: int = 1
    against: str | None = None
    slices: tuple[str, ...] = ()
    gate: tuple[Rule, ...] = ()
    stop: Kind | None = None
    shape: Told = None
    traces: Wanted | None = None  # past traces, in place of subject and data
    sweep: Sweep = field(default_factory=Sweep)
    turns: Turns | None = None  # conversations are asked turn by turn

    @property
    def content(self) -> dict[str, Json]:
        """What its artifact holds: stored before the run, so that the rules are known to be older than the results."""
        return {
            "target": self.subject.name, "data": self.data, "scorers": [one.name for one in self.scorers],
            "repeats": self.repeats, "against": self.against, "slices": list(self.slices),
            "gate": [str(rule) for rule in self.gate], **({"stop": self.stop} if self.stop else {}),
            **({"shape": cast("Json", self.shape)} if self.shape else {}),
            **({"traces": self.traces.to_json()} if self.traces else {}),
            **({"sweep": sweep} if (sweep := self.sweep.to_json()) else {}),
            **({"turns": self.turns} if self.turns else {}),
        }  # fmt: skip


def find_suite(name: str, project: Project) -> Path:
    """The file of a suite: a path, or the name of one under `evals/`. NotFound names the nearest, of files those beside it."""
    given = project.path(name)
    if given.suffix in (".yaml", ".yml") and given.is_file():
        return given
    folder = project.root / "evals"
    for ending in (".yaml", ".yml"):
        if (folder / f"{name}{ending}").is_file():
            return folder / f"{name}{ending}"
    if given.suffix in (".yaml", ".yml"):
        beside = sorted(file.name for ending in ("yaml", "yml") for file in given.parent.glob(f"*.{ending}"))
        beside = [one for one in beside if one != FILE]
        near = get_close_matches(given.name, beside, n=1) or [
            one for one in beside if one.startswith("promptfooconfig.")
        ]
        hint = f" Did you mean {shown(given.with_name(near[0]), project.root)!r}?" if near else ""
        raise NotFound(f"There is no file {name!r}.{hint}")
    there = sorted(file.stem for ending in ("yaml", "yml") for file in folder.glob(f"*.{ending}"))
    near = get_close_matches(name, there, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = (
        f"Suites in {folder}: {', '.join(there)}."
        if there
        else f"There is none in {folder} yet; afere init writes one."
    )
    raise NotFound(f"There is no suite called {name!r}.{hint} {known}")


def read_suite(file: Path, project: Project) -> Suite:
    """Read and check a suite: its names resolve, its rules can be decided. BadInput names file, line and field."""
    where = shown(file, project.root)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise BadInput(f"{where}: not UTF-8 (byte {problem.start}). Save the file as UTF-8.") from None
    document = read_yaml(text, file=where)
    check(document, SUITE_SCHEMA)
    said = cast("dict[str, Json]", document.value)
    traces = _traces(document, said)
    name = check_name(str(said.get("name") or file.stem), "suite")
    importable(project)
    subject = _at(document, ("target",), lambda: subject_of(said.get("target"), project))
    entries = cast("list[Json]", said["scorers"])
    scorers = tuple(_at(document, ("scorers", i), lambda e=entry: named(e)) for i, entry in enumerate(entries))
    _unique(document, scorers)
    shape = cast("Told", said.get("shape"))
    _at(document, ("shape",), lambda: shape_of(shape))
    known = [*(one.name for one in scorers), *BUILTIN]
    texts = [str(rule) for rule in cast("list[Json]", said.get("gate") or [])]
    rules = tuple(_at(document, ("gate", i), lambda t=text: _rule(t, known)) for i, text in enumerate(texts))
    slices = [str(one) for one in cast("list[Json]", said.get("slices") or [])]
    for i, one in enumerate(slices):
        if one not in NAMED_SLICES:
            _at(document, ("slices", i), lambda t=one: parse_filter(t, fields=FIELDS))
    return Suite(
        name, subject, str(said.get("data") or ""), scorers, file.with_name(f"{name}.baseline.json"),
        cast("int", said.get("repeats", 1)), cast("str | None", said.get("against")),
        tuple(slices), rules, cast("Kind | None", said.get("stop")), shape, traces,
        sweep_from(cast("dict[str, Json]", said.get("sweep") or {})),
        _turns(document, subject, said),
    )  # fmt: skip


def _turns(document: Document, subject: Subject, said: Mapping[str, Json]) -> Turns | None:
    """Whether and how conversations are asked turn by turn; the target must be able to know what was said."""
    turns = cast("Turns | None", said.get("turns"))
    if turns is not None:
        if subject.run is None:
            raise BadInput(f"{document.at(('turns',))}: turns: without a target nothing is asked. Leave it out.")
        run = subject.run
        _at(document, ("turns",), lambda: conversing(run, turns))
    return turns


def _traces(document: Document, said: Mapping[str, Json]) -> Wanted | None:
    """Which past traces a suite scores; None where it has a dataset of its own."""
    if "traces" not in said:
        lone = next((key for key in ("most", "sample") if key in said), None)
        if lone is not None or "data" not in said:
            what = f"{lone}: is of traces" if lone else "'data' is missing: a file of rows, or a dataset; or"
            raise BadInput(
                f"{document.at((lone,) if lone else ())}: {what} traces: a filter such as 'chain:qa since:7d'."
            )
        return None
    strange = next((key for key in ("target", "data", "repeats", "stop") if said.get(key) is not None), None)
    if strange is not None:
        raise BadInput(
            f"{document.at((strange,))}: {strange}: past traces are scored as they are. Leave out {strange}, or traces."
        )
    most, sample = cast("int | None", said.get("most")), cast("int | None", said.get("sample"))
    return _at(document, ("traces",), lambda: Wanted(str(said["traces"]), most, sample))


def _rule(text: str, known: Sequence[str]) -> Rule:
    rule = parse_rule(text)
    gate.check(rule, known)
    return rule


def _unique(document: Document, scorers: Sequence[Judging]) -> None:
    seen: set[str] = set()
    for i, one in enumerate(scorers):
        if one.name in seen or one.name in BUILTIN:
            why = "is a built-in measure" if one.name in BUILTIN else "stands here twice"
            raise BadInput(
                f"{document.at(('scorers', i))}: the scorer name {one.name!r} {why}. Give it its own: {{name: ..., kind: {one.name}}}."
            )
        seen.add(one.name)


def _at(document: Document, path: tuple[str | int, ...], make: Callable[[], T]) -> T:
    """What `make` gives; an error of it says where in the file it comes from."""
    try:
        return make()
    except (BadInput, NotFound) as problem:
        raise BadInput(f"{document.at(path)}: {problem}") from problem.__cause__
