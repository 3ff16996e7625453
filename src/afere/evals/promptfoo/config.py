"""A promptfoo file, read: each prompt with each provider is one plan over the tests as rows. What is not read is named."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json, digest_of
from afere.base.document import Document, read_yaml
from afere.base.errors import BadInput
from afere.base.project import Project
from afere.chains.template import read_text
from afere.data import Row
from afere.data import dataset as dataset_of
from afere.evals.plan import Plan
from afere.evals.promptfoo.assertions import COMPARED, Reading, kind_of
from afere.evals.promptfoo.cases import Cases
from afere.evals.promptfoo.compared import Entrant, compared
from afere.evals.promptfoo.files import FILE, Folder
from afere.evals.promptfoo.grading import Tests, asserts_of, flat, scorers_of
from afere.evals.promptfoo.programs import ProgramFailed, Programs
from afere.evals.promptfoo.prompts import Prompt, prompts_of
from afere.evals.promptfoo.providers import Asked, NoSuchProvider, Place, Provider, provider_of
from afere.evals.subject import Subject

if TYPE_CHECKING:
    from afere.evals.experiment import Experiment

_TOP = (
    "description",
    "prompts",
    "providers",
    "targets",
    "defaultTest",
    "tests",
    "scenarios",
    "assertionTemplates",
    "$schema",
)


@dataclass(frozen=True)
class Config:
    """What runs (`plans`), and what is told before anything is spent (`lines`)."""

    plans: tuple[Plan, ...]
    lines: tuple[str, ...]
    entrants: tuple[Entrant, ...] = ()  # the plans again, where tests compare their answers

    def compared(self, made: Sequence[Experiment], project: Project) -> tuple[tuple[Plan, ...], tuple[str, ...]]:
        """What is to be run once the plans are made, in their order: `select-best` and `max-score` over all answers; and what
        could not be compared."""
        return compared(self.entrants, made, project) if self.entrants else ((), ())


class Target:
    """A prompt with a provider, called with the vars of a test."""

    def __init__(self, prompt: Prompt, provider: Provider, programs: Programs, *, logprobs: bool = False) -> None:
        self._prompt, self._provider, self._programs, self._logprobs = prompt, provider, programs, logprobs

    def __call__(self, **values: Json) -> Json:
        try:
            text = self._prompt.filled(values, self._programs)
            return self._provider.answer(Asked(self._prompt, text, values, self._logprobs))
        except ProgramFailed as problem:
            raise RuntimeError(f"{self._prompt.label[:40]}: {problem}") from None


def is_promptfoo(file: Path) -> bool:
    """Whether a file has promptfoo's keys at its top and is no suite."""
    if file.suffix not in (".yaml", ".yml") or not file.is_file():
        return False
    text = file.read_text(encoding="utf-8", errors="replace")
    keys = set(re.findall(r"^(\w+)[ \t]*:", text, re.MULTILINE))
    return "prompts" in keys and bool(keys & {"providers", "targets"}) and "scorers" not in keys


def read_config(file: Path, project: Project, *, told: Callable[[str], None] = lambda _: None) -> Config:
    """Read a promptfoo file. BadInput names file and line; keys and assertions that are not read are in `lines`.

    A file that makes its tests or vars by a program of its own runs that program here; `told` hears of it before.
    """
    document = read_yaml(read_text(file), file=file.name)
    if not isinstance(document.value, dict):
        raise BadInput(f"{file.name}: a promptfoo file is a mapping with prompts, providers and tests.")
    document = replace(document, value=_without_references(document.value, document.value))
    programs = Programs(file.parent)
    programs.told = lambda language: told(_owners({language}))
    config = _Reader(document, Place(Folder(file.parent), project, programs)).config(file.stem)
    programs.told = lambda _: None  # what runs from here on is in `lines`
    return config


def _owners(runs: set[str]) -> str:
    """Whose code runs, said before it does."""
    words = {"python": "Python", "javascript": "JavaScript", "exec": "commands"}
    return f"this file runs its own {', '.join(sorted(words[one] for one in runs))} on this machine, as you"


def _without_references(value: Json, root: Mapping[str, Json], depth: int = 0) -> Json:
    """`$ref: "#/assertionTemplates/x"` replaced by what stands there."""
    if depth > 50:
        raise BadInput("$ref: the references go in a circle.")
    if isinstance(value, list):
        return [_without_references(one, root, depth) for one in value]
    if not isinstance(value, dict):
        return value
    said = value.get("$ref")
    if isinstance(said, str) and said.startswith("#/assertionTemplates/"):
        held: Json = dict(root)
        for step in said[2:].split("/"):
            held = held.get(step) if isinstance(held, dict) else None
        if held is None:
            raise BadInput(f"$ref: there is nothing at {said}.")
        return _without_references(held, root, depth + 1)
    return {key: _without_references(one, root, depth) for key, one in value.items()}


class _Reader:
    def __init__(self, document: Document, at: Place) -> None:
        self.document, self.at = document, at
        self.said = cast("dict[str, Json]", document.value)
        self.reading = Reading(at)

    def config(self, stem: str) -> Config:
        unread = [f"{self.document.at((key,))}: {key}" for key in self.said if key not in _TOP]
        prompts = prompts_of(self._list("prompts"), self.document, self.at.folder)
        providers, strange = self._providers()
        rows = Cases(self.document, self.at.folder, self.reading).rows()
        plans: list[Plan] = []
        entrants: list[Entrant] = []
        every = [one for row in rows for one in flat(cast("list[dict[str, Json]]", row.metadata["assert"]))]
        logprobs = any(kind_of(one).startswith("perplexity") for one in every)
        for (i, prompt), (nth, provider) in itertools.product(enumerate(prompts, start=1), enumerate(providers)):
            mine = [one for one in rows if _is_for(one, prompt, provider)]
            if not mine or (provider.only and not _named(prompt.label, provider.only)):
                continue
            mark = digest_of([prompt.content, provider.content])[-8:]
            name = f"{_slug(stem)}-{i}-{_slug(provider.label)}-{mark}"
            tests = Tests(self.reading, prompt, provider)
            asserts = [asserts_of(one) for one in mine]
            target = Subject(name, Target(prompt, provider, self.at.programs, logprobs=logprobs))
            plans.append(
                Plan(
                    name,
                    target,
                    dataset_of(mine, name=_slug(stem)),
                    scorers_of(tests, asserts),
                    self.at.folder.path / f"{name}.baseline.json",
                )
            )
            entrants.append(Entrant(plans[-1], tests, (nth, i)))
        if not plans:
            raise BadInput(f"{self.document.at(('prompts',))}: no test is for any of the prompts and providers.")
        unread += [word for one in providers for word in one.unread]
        unread += self.reading.unread
        contests = [one for one in every if kind_of(one) in COMPARED]
        lines = self._lines(prompts, providers, unread, strange)
        if contests:
            lines = (*lines, f"{len(contests)} tests compare all answers, when they are there")
        return Config(tuple(plans), lines, tuple(entrants) if contests else ())

    def _providers(self) -> tuple[list[Provider], list[str]]:
        """Those that run, and what is wrong with the others; an error where none runs."""
        key = "providers" if "providers" in self.said else "targets"
        found: list[Provider] = []
        strange: list[str] = []
        for i, one in enumerate(self._list(key)):
            try:
                found.append(provider_of(one, self.at, self.document.at((key, i))))
            except NoSuchProvider as problem:
                strange.append(str(problem))
        if not found:
            raise BadInput(strange[0])
        return found, strange

    def _lines(
        self, prompts: list[Prompt], providers: list[Provider], unread: list[str], strange: list[str]
    ) -> tuple[str, ...]:
        kept, lost = self.reading.kept, self.reading.skipped.total()
        why = "; ".join(f"{n} {reason}" for reason, n in sorted(self.reading.skipped.items()))
        lines = [f"{kept} of {kept + lost} assertions run" + (f", {lost} skipped: {why}" if lost else "")]
        if lost:
            lines.append("passed counts the assertions that run; of each test with a skipped one it says which")
        runs = {one for provider in providers for one in provider.runs} | self.reading.runs
        runs |= {one.code.language for one in prompts if one.code is not None}
        if runs:
            lines.append(_owners(runs))
        lines += [f"outputs and vars are sent to {one}" for one in sorted(self.reading.sent)]
        if any(one.provider is None and one.model(self.at.project) is None for one in self.reading.graders.values()):
            lines.append(
                "what a model grades will have no verdict: set models.judge in afere.yaml, or options.provider"
            )
        lines += [f"skipped: {one}" for one in strange]
        return (*lines, *(f"not read: {one}" for one in dict.fromkeys(unread)))

    def _list(self, key: str) -> list[Json]:
        found = self.said.get(key)
        if isinstance(found, str):
            return [found]
        if not isinstance(found, list) or not found:
            raise BadInput(f"{self.document.at((key,))}: {key} must be a list with at least one entry.")
        return found


def _is_for(row: Row, prompt: Prompt, provider: Provider) -> bool:
    """Whether a test, which may name prompts and providers, is for these."""
    wanted = {key: row.metadata.get(key) for key in ("prompts", "providers")}
    return all(
        not isinstance(only, list) or _named(name, [str(one) for one in only])
        for only, name in ((wanted["prompts"], prompt.label), (wanted["providers"], provider.label))
    )


def _named(name: str, wanted: tuple[str, ...] | list[str]) -> bool:
    """Whether one of the words names it: as a whole, by a pattern with *, or as the start before a colon."""
    return any(
        name == one
        or name.startswith(f"{one}:")
        or ("*" in one and re.fullmatch(re.escape(one).replace(r"\*", ".*"), name))
        for one in (word.removeprefix(FILE) for word in wanted)
    )


def _slug(text: str) -> str:
    made = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return made if made[:1].isalpha() else f"p-{made}"
