"""Which model a name means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import cast

from afere.base.canonical import Json
from afere.base.errors import AfereError, BadProject, ModelUnreachable, NotFound
from afere.base.extension import load
from afere.base.project import Project, find_project
from afere.models.request import Model, Settings

Provider = Callable[[str, Settings], Model]

PROVIDERS: Mapping[str, str] = {
    "openai": "afere.models.openai:openai",
    "ollama": "afere.models.openai:ollama",
    "vllm": "afere.models.openai:vllm",
    "local": "afere.models.local:local",
    "scripted": "afere.testing.scripted:scripted",  # resolved only when named: testing is above this package
}
_NAME = re.compile(r"(?P<provider>[A-Za-z][A-Za-z0-9_-]*)(?::/?|/)(?P<model>.+)")


def resolve(name: str, project: Project | None = None) -> Model:
    """The model a name means: one under `models:` of afere.yaml, `PROVIDER:model` (also `:/` and `/`), `local`, or
    the address of a server with its model, `http://127.0.0.1:8000/v1#model`.

    Nothing is called yet. Providers are built in, entry points of group `afere.provider`, or a provider called
    `package.module:attribute` written as `package.module:attribute#model`.
    """
    declared = (project or find_project()).section("models")
    settings = Settings()
    seen: list[str] = []
    while name in declared and name not in seen:
        seen.append(name)
        name, settings = _declared(declared[name], settings)
    if name in declared:
        raise BadProject(f"models: in afere.yaml go in a circle: {' -> '.join([*seen, name])}.")
    return _model(name, settings, declared)


def declared_as(model: str, project: Project) -> str:
    """The name under `models:` of afere.yaml that means this `provider:name`, as versions keep it; else the same text.

    A version says which model, not where: an address or a provider of one's own stands under the declared name.
    """
    for name in project.section("models"):
        try:
            found = resolve(name, project)
        except AfereError:  # who calls it will say so
            continue
        if f"{found.provider}:{found.name}" == model:
            return name
    return model


def _declared(entry: Json, outer: Settings) -> tuple[str, Settings]:
    """The name an entry stands for, and its settings under those of the entries that led to it."""
    if not isinstance(entry, dict):
        return str(entry), outer
    fields = {key: value for key, value in entry.items() if key != "model"}
    inner = replace(Settings(), **cast("dict[str, object]", fields))  # pyright: ignore[reportArgumentType] - checked by PROJECT_SCHEMA
    plain = Settings()
    changed = {key: getattr(outer, key) for key in Settings.__slots__ if getattr(outer, key) != getattr(plain, key)}
    return str(entry["model"]), replace(inner, **changed)


def _model(name: str, settings: Settings, declared: Mapping[str, Json]) -> Model:
    if name.startswith(("http://", "https://")):
        base_url, _, model = name.partition("#")
        return _provider("openai")(model, replace(settings, base_url=base_url))
    place, _, model = name.partition("#")
    if model:
        return _provider(place)(model, settings)
    match = _NAME.fullmatch(name)
    if match:
        return _provider(match["provider"])(match["model"], settings)
    if name == "local":
        return _provider("local")("", settings)
    near = get_close_matches(name, [*declared, *PROVIDERS], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = f"Names under models: in afere.yaml: {', '.join(sorted(declared)) or 'none'}."
    raise ModelUnreachable(
        f"There is no model called {name!r}.{hint} {known} Or write PROVIDER:model, such as openai:gpt-4.1-mini or "
        f"ollama:llama3, or local. Providers: {', '.join(sorted(PROVIDERS))}."
    )


def _provider(name: str) -> Provider:
    try:
        return cast("Provider", load("provider", name, builtin=PROVIDERS))
    except NotFound as error:
        raise ModelUnreachable(str(error)) from None
