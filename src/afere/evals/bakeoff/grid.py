"""The cells of a bake-off or sweep: every combination of what is tried, beside the suite's target as it is."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from afere.base.canonical import Json, digest_of
from afere.base.errors import BadInput
from afere.base.project import Project
from afere.chains import Chain, Component
from afere.chains.component import live_components
from afere.chains.prompt import load_prompt
from afere.chains.variant import Variant, varying
from afere.data.place import shown
from afere.evals.bakeoff.sweep import Sweep
from afere.evals.subject import Subject, subject_of
from afere.evals.suite import Suite
from afere.models import Facts, Model, facts_of
from afere.store import Session

_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_WHOLE = ("max_tokens", "max_completion_tokens", "top_k", "n", "seed")
_KNOWN = (*_NUMBERS, *_WHOLE, "min_p", "logprobs", "top_logprobs", "reasoning_effort", "verbosity", "stop", "user")
_NEAR = 0.85  # how alike a name is that can only be a slip: providers have parameters of their own
_MOST = 500  # cells: more is a slip of the pen


@dataclass(frozen=True)
class Cell:
    """One combination: a subject, and what it calls with. `settings` is empty for the target as it is.

    `excluded` says why it is not run. `key` is what it is called by while it runs: the version, without what only running
    has shown of it, since that grows.
    """

    label: str
    settings: Mapping[str, Json]
    subject: Subject
    variant: Variant | None
    version: str
    key: str
    facts: Facts | None  # of its model; None where it has several
    excluded: str | None = None
    tried: tuple[Model, ...] = ()  # the models that are called in the place of the components' own

    def varied(self) -> AbstractContextManager[None]:
        """Inside, the subject runs with this cell's settings."""
        return nullcontext() if self.variant is None else varying(self.variant)


@dataclass(frozen=True)
class _Asked:
    """What is read once: where names resolve, and what is tried."""

    sweep: Sweep
    suite: Suite
    project: Project
    session: Session
    prompts: dict[str, Any] = field(default_factory=dict[str, Any])  # by file


def cells_of(suite: Suite, sweep: Sweep, project: Project, session: Session) -> tuple[Cell, ...]:
    """The target as it is first, then every combination that is another. BadInput where nothing would be varied.

    A model that does not meet `sweep.require` makes a cell that is excluded. The target as it is never is: it is what the
    others are compared with.
    """
    _check(suite, sweep)
    asked = _Asked(sweep, suite, project, session)
    current = _cell(asked, suite.subject, None, {})
    current = replace(current, label=_current_label(current, sweep))
    cells = [current]
    known = {current.key: current.label}
    for target in sweep.targets or (None,):
        subject = suite.subject if target is None else subject_of(target, project)
        cells += _others(asked, subject, {} if target is None else {"target": target}, known)
    if len(cells) == 1:
        raise BadInput(f"{suite.name}: all that is to be tried is what its target is already ({current.label}).")
    return tuple(cells)


def _others(asked: _Asked, subject: Subject, target: Mapping[str, Json], known: dict[str, str]) -> list[Cell]:
    """The combinations of one target that are not the suite's own, which is the first of `known`."""
    cells: list[Cell] = []
    current = next(iter(known))
    for settings, variant in _variations(asked, subject):
        one = _cell(asked, subject, variant, {**target, **settings})
        if one.key == current:
            continue
        if one.key in known:
            raise BadInput(f"{one.label} is the same as {known[one.key]}: name each combination once.")
        known[one.key] = one.label
        cells.append(one)
    return cells


def _check(suite: Suite, sweep: Sweep) -> None:
    tried = [
        len(sweep.models),
        *map(len, sweep.parameters.values()),
        *map(len, sweep.prompts.values()),
        len(sweep.examples),
        len(sweep.targets),
    ]
    if not any(tried):
        raise BadInput(
            f"{suite.name}: nothing is to be tried. Give --models A,B, --set temperature=0,0.7, --prompt answer=FILE,FILE, "
            "--examples 0,3 or --target A,B, or write sweep: in the suite."
        )
    if wrong := [
        name for name in sweep.parameters if name in ("model", "target", "examples") or name.startswith("prompt ")
    ]:
        raise BadInput(
            f"set: {wrong[0]} is no parameter of a model. Give models, targets, prompts and examples by their own options."
        )
    for name, values in sweep.parameters.items():
        _check_parameter(name, values)
    cells = 1
    for one in tried:
        cells *= one or 1
    if cells > _MOST:
        raise BadInput(
            f"{suite.name}: that makes {cells} combinations; at most {_MOST} are run at once. Try less of each."
        )
    if suite.traces is not None:
        raise BadInput(
            f"{suite.name}: its cases are past traces, which are not run again. Use a suite with data: and a target."
        )
    if (sweep.prefer is None) != (sweep.margin is None):
        raise BadInput(
            "prefer and margin go together: quality may be worse by margin for what is preferred (cost or latency)."
        )


def _check_parameter(name: str, values: Sequence[Json]) -> None:
    """A slip in the name of a common parameter, or a value that it never has, would be paid for before it is seen."""
    if name not in _KNOWN and (near := get_close_matches(name, _KNOWN, n=1, cutoff=_NEAR)):
        raise BadInput(f"set: there is no parameter {name!r}. Did you mean {near[0]!r}?")
    kinds = {**dict.fromkeys(_NUMBERS, (int, float)), **dict.fromkeys(_WHOLE, (int,))}.get(name)
    for value in values:
        if kinds and value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise BadInput(
                f"set: {name}={_text(value)}: {'a whole number' if name in _WHOLE else 'a number'}, or null to leave it out."
            )


def _variations(asked: _Asked, subject: Subject) -> list[tuple[dict[str, Json], Variant | None]]:
    """Each combination of models, parameters and prompts: its settings, and the variant of the subject's components."""
    sweep = asked.sweep
    models: list[tuple[str, Json]] = [("model", name) for name in sweep.models]
    axes = [models] if models else []
    axes += [[(name, value) for value in values] for name, values in sweep.parameters.items()]
    for name, files in sweep.prompts.items():
        axes.append([(f"prompt {name}", file) for file in files])
    if sweep.examples:
        axes.append([("examples", count) for count in sweep.examples])
    if not axes:
        return [({}, None)]
    components = _touched(asked, subject)
    combined = (dict(one) for one in itertools.product(*axes))
    return [(settings, _variant(asked, settings, components)) for settings in combined]


def _variant(asked: _Asked, settings: Mapping[str, Json], components: tuple[str, ...]) -> Variant:
    prompts = {
        name.partition(" ")[2]: _prompt(asked, str(file))
        for name, file in settings.items()
        if name.startswith("prompt ")
    }
    parameters = {name: value for name, value in settings.items() if name in asked.sweep.parameters}
    examples = cast("int | None", settings.get("examples"))
    return Variant(components, cast("str | None", settings.get("model")), parameters, prompts, examples)


def _prompt(asked: _Asked, file: str) -> Any:
    if file not in asked.prompts:
        path = asked.project.path(file)
        if not path.is_file():
            raise BadInput(f"There is no prompt file {shown(path, asked.project.root)!r}.")
        asked.prompts[file] = load_prompt(Path(path), asked.project)
    return asked.prompts[file]


def _touched(asked: _Asked, subject: Subject) -> tuple[str, ...]:
    """The names of the components whose model and parameters are varied."""
    sweep, known = asked.sweep, _components(subject, asked.session)
    if isinstance(subject.run, str):
        raise BadInput(
            f"{subject.name} is an address: what answers there cannot be given another model from here. Start it once for "
            "each model, and give the addresses as --target."
        )
    if not known:
        raise BadInput(
            f"No component of {subject.name} is known, so nothing would be varied. A prompt is known where the code says "
            "afere.prompt('prompts/FILE.md'), in a chain (@afere.chain) that reaches it, with the name written out."
        )
    names = sorted(known)
    for name in [*sweep.prompts, *([sweep.component] if sweep.component else [])]:
        if name not in known:
            raise BadInput(f"{subject.name} has no component {name!r}. Its components: {', '.join(names)}.")
    if sweep.examples:
        _check_examples(asked, subject, [sweep.component] if sweep.component else names)
    if sweep.component:
        return (sweep.component,)
    if not (sweep.models or sweep.parameters):
        return tuple(names) if sweep.examples else ()
    if len({_place(model) for model in known.values()}) > 1:
        said = ", ".join(f"{name} ({_named(known[name])})" for name in names)
        raise BadInput(
            f"{subject.name} asks several models: {said}. Say which component is varied: --component {names[0]}"
        )
    return tuple(names)


def _check_examples(asked: _Asked, subject: Subject, names: Sequence[str]) -> None:
    """Whether any of these components, or of the prompts that are tried for them, chooses examples at each call."""
    run = cast("Any", subject.run)
    live = [run] if isinstance(run, Component) else [c for name in names for c in live_components(name, run.project)]
    tried = [_prompt(asked, file) for name in names for file in asked.sweep.prompts.get(name, ())]
    if not any(prompt.nearest is not None for prompt in [*(one.prompt for one in live), *tried]):
        raise BadInput(
            f"examples: no prompt of {', '.join(names)} chooses its examples at each call. Write in it: "
            "examples: {data: data/shots.jsonl, nearest: 3}"
        )


def _components(subject: Subject, session: Session) -> dict[str, Model]:
    """The components that a subject is known to call, with the model of each; not those that only running has shown."""
    run = cast("Any", subject.run)
    if isinstance(run, Component):
        return {run.name: run.ready().model}
    if not isinstance(run, Chain):
        return {}
    chain = cast("Chain[..., Any]", run)
    used = {use.role.partition(" ")[2]: use.hash for use in chain.revision().uses if use.role.startswith("component ")}
    live = {name: [one.ready() for one in live_components(name, chain.project)] for name in used}
    return {
        name: next((one.model for one in live[name] if one.hashes()[1] == hash_), live[name][0].model)
        for name, hash_ in used.items()
        if live[name]
    }


def _named(model: Model) -> str:
    return f"{model.provider}:{model.name}"


def _cell(asked: _Asked, subject: Subject, variant: Variant | None, settings: Mapping[str, Json]) -> Cell:
    cell = Cell(_label(settings), settings, subject, variant, "", "", None)
    with cell.varied():
        identity = subject.identity(asked.session)
        if identity is None:
            raise BadInput(f"{asked.suite.name}: it has no target, only outputs that exist. Give it one to run.")
        models = _components(subject, asked.session)
        key = _key(subject, identity, models, asked.session)
    chosen = {_place(models[name]): models[name] for name in (variant.components if variant else ()) if name in models}
    own = chosen or {_place(model): model for model in models.values()}
    facts = facts_of(next(iter(own.values()))) if len(own) == 1 else None
    excluded = asked.sweep.require.problem(facts) if facts is not None and settings else None
    return replace(cell, version=identity[0], key=key, facts=facts, excluded=excluded, tried=tuple(chosen.values()))


def _key(subject: Subject, identity: tuple[str, str], models: Mapping[str, Model], session: Session) -> str:
    """A version says which model is asked, not where: two servers may have the same."""
    places: list[Json] = [f"{name} {_place(model)}" for name, model in sorted(models.items())]
    made = subject.artifact(session)
    if made is None:
        return digest_of([list(identity), places])
    content = {**cast("dict[str, Json]", made.content), "found": None}
    uses = sorted(f"{use.role} {use.hash}" for use in made.uses if not use.role.startswith("found "))
    return digest_of([content, list[Json](uses), places])


def _place(model: Model) -> str:
    return f"{_named(model)} {model.settings.base_url or ''}"


def _label(settings: Mapping[str, Json]) -> str:
    if len(settings) == 1:
        (name, value), *_ = settings.items()
        if name in ("model", "target"):
            return str(value)
    return ", ".join(f"{name}={_text(value)}" for name, value in settings.items())


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _current_label(cell: Cell, sweep: Sweep) -> str:
    """By its model where only models are tried, else by its target."""
    only_models = not (sweep.parameters or sweep.prompts or sweep.examples or sweep.targets)
    said = cell.facts.model if only_models and cell.facts is not None else cell.subject.name
    return f"{said} (current)"
