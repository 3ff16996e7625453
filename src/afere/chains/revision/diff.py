"""What changed between two revisions, by name: parts, prompts with their words, models, packages, and then the setting."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from afere.base.artifact import Artifact, Use
from afere.base.canonical import Json
from afere.base.errors import BadInput, NotFound
from afere.chains.revision.record import Recorded, recorded
from afere.store import Session

What = Literal["changed", "added", "removed", "moved"]
_SIGNS = {"changed": "~", "added": "+", "removed": "-", "moved": ">"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `detail` says it in a few words (`4 -> 5`), `lines` is a unified diff of the source or prompt.

    `folded` are parts that were added or removed only because of this change. `setting` is set for where it ran, which
    is no part of what the chain is.
    """

    part: str
    what: What
    detail: str = ""
    lines: str = ""
    folded: tuple[str, ...] = ()
    setting: bool = False

    def __str__(self) -> str:
        head = f"{_SIGNS[self.what]} {self.part}" + (f": {self.detail}" if self.detail else "")
        body = [f"    {line}" for line in self.lines.splitlines() if not line.startswith(("---", "+++", "@@"))]
        return "\n".join([head, *body, *(f"    so also {one}" for one in self.folded)])

    def to_json(self) -> Json:
        return {
            "part": self.part, "what": self.what, "detail": self.detail, "lines": self.lines,
            "folded": list(self.folded), "setting": self.setting,
        }  # fmt: skip


def changes(a: Artifact, b: Artifact, session: Session) -> list[Change]:
    """What is different in `b`, compared with `a`: first what the chain is made of, then the setting it ran in."""
    for one in (a, b):
        if not (isinstance(one.content, dict) and "parts" in one.content):
            raise BadInput(f"{one.ref} is a {one.kind} that was not captured from code; compare two revisions.")
    sides = _Side(a, recorded(a, session)), _Side(b, recorded(b, session))
    found = [*_part_changes(*sides), *_use_changes(a, b, session)]
    found += _entries("package", sides[0].content("packages"), sides[1].content("packages"))
    found += _listed("found by running", _found_parts(sides[0]), _found_parts(sides[1]))
    found += _entries("rule", sides[0].content("rules"), sides[1].content("rules"))
    found += _listed("note", list(sides[0].record.notes), list(sides[1].record.notes))
    return [*found, *_setting_changes(sides[0].record.setting, sides[1].record.setting)]


@dataclass(slots=True)
class _Side:
    artifact: Artifact
    record: Recorded
    led_by: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def __post_init__(self) -> None:
        for key, leads in self.record.leads.items():
            for led in leads:
                self.led_by.setdefault(led, set()).add(key)

    def content(self, name: str) -> dict[str, Any]:
        whole = cast("dict[str, Any]", self.artifact.content)
        return cast("dict[str, Any]", whole.get(name) or {})

    @property
    def parts(self) -> dict[str, dict[str, Any]]:
        return self.content("parts")


def _found_parts(side: _Side) -> list[str]:
    whole = cast("dict[str, Any]", side.artifact.content)
    return [str(one["part"]) for one in whole.get("found", [])]


# -- parts


def _part_changes(a: _Side, b: _Side) -> list[Change]:
    before, after = a.parts, b.parts
    removed = {key: before[key] for key in sorted(before.keys() - after.keys())}
    added = {key: after[key] for key in sorted(after.keys() - before.keys())}
    moved = dict(_moves(removed, added))
    found: dict[str, Change] = {}
    for key in sorted(before.keys() & after.keys()):
        if before[key] != after[key]:
            told = "value" in before[key] and "value" in after[key]  # `4 -> 5` says it all
            lines = "" if told and before[key]["value"] != after[key]["value"] else _lines(a, b, key)
            found[key] = Change(key, "changed", _detail(before[key], after[key]), lines)
    for old, new in moved.items():
        found[new] = Change(new, "moved", f"from {old.rpartition(' in ')[2]}")
    for key in removed.keys() - moved.keys():
        found[key] = Change(key, "removed", _shown(removed[key]), _lines(a, b, key))
    for key in added.keys() - set(moved.values()):
        found[key] = Change(key, "added", _shown(added[key]), _lines(a, b, key))
    return _fold(found, a, b, moved)


def _moves(removed: Mapping[str, dict[str, Any]], added: Mapping[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Removed and added with one hash, the likeliest first: of the same name."""
    left = dict(added)
    for same_name in (True, False):
        for old, leaf in removed.items():
            new = next(
                (key for key in left if _same(leaf, left[key]) and (not same_name or _title(key) == _title(old))), None
            )
            if new is not None and (same_name or _kind(new) == _kind(old)):
                del left[new]
                yield old, new


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return any(name in one and one[name] == other.get(name) for name in ("code", "bytes"))


def _title(key: str) -> str:
    return key.rpartition(" in ")[0]


def _kind(key: str) -> str:
    return key.partition(" ")[0]


def _detail(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What is different in a leaf: a value, the meaning of a name; empty where lines tell it."""
    words: list[str] = []
    if before.get("value") != after.get("value"):
        words.append(f"{before.get('value', '?')} -> {after.get('value', '?')}")
    one, other = before.get("names", {}), after.get("names", {})
    for name in sorted(one.keys() & other.keys()):
        if one[name] != other[name]:
            words.append(f"name {name} now means {other[name]}")
    if before.get("code") == after.get("code"):
        words += [f"name {name} is {other[name]}" for name in sorted(other.keys() - one.keys())]
        words += [f"name {name} was {one[name]}" for name in sorted(one.keys() - other.keys())]
    if "bytes" in before:
        words.append("other content")
    return "; ".join(words)


def _shown(leaf: dict[str, Any]) -> str:
    return str(leaf.get("value", ""))


def _lines(a: _Side, b: _Side, key: str) -> str:
    return unified(a.record.sources.get(key, ""), b.record.sources.get(key, ""))


def unified(before: str, after: str) -> str:
    """A unified diff of two texts, without file names; empty if they are equal."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++")))


def _fold(found: dict[str, Change], a: _Side, b: _Side, moved: Mapping[str, str]) -> list[Change]:
    """Put parts that were added or removed only because of another change under it."""
    under: dict[str, str] = {}
    for key, change in found.items():
        side = a if change.what == "removed" else b
        if change.what in ("added", "removed"):
            leaders = side.led_by.get(key, set())
            if leaders and all(leader in found and leader != key for leader in leaders):
                under[key] = sorted(leaders, key=lambda leader: (found[leader].what != "changed", leader))[0]
        elif change.what == "changed" and (new := _only_renamed(a.parts[key], b.parts[key], moved)):
            under[key] = new
    tops: dict[str, list[str]] = {}
    for key in under:
        top, seen = key, {key}
        while top in under and under[top] not in seen:
            top = under[top]
            seen.add(top)
        if top not in under:
            tops.setdefault(top, []).append(f"{found[key].what} {key}")
    folded = {one.partition(" ")[2] for ones in tops.values() for one in ones}
    kept = [change for key, change in found.items() if key not in folded]
    order = {"changed": 0, "moved": 1, "added": 2, "removed": 3}
    kept.sort(key=lambda change: (order[change.what], change.part))
    return [replace(change, folded=tuple(sorted(tops.get(change.part, ())))) for change in kept]


def _only_renamed(before: dict[str, Any], after: dict[str, Any], moved: Mapping[str, str]) -> str | None:
    """The moved part, if all that differs is that names now mean it at its new place."""
    if before.get("code") != after.get("code"):
        return None
    one, other = before.get("names", {}), after.get("names", {})
    differing = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
    places = {other.get(name) for name in differing}
    return places.pop() if len(places) == 1 and places <= set(moved.values()) else None


# -- artifacts


def _use_changes(a: Artifact, b: Artifact, session: Session) -> list[Change]:
    before, after = {use.role: use for use in a.uses}, {use.role: use for use in b.uses}
    found: list[Change] = []
    for role in sorted(before.keys() | after.keys()):
        one, other = before.get(role), after.get(role)
        if one is None or other is None:
            used = cast("Use", one or other)
            found.append(Change(role, "added" if one is None else "removed", used.ref))
        elif one.hash != other.hash:
            found += _artifact_changes(role, one, other, session)
    return found


def _artifact_changes(role: str, one: Use, other: Use, session: Session) -> list[Change]:
    """What is different in something that is used: a component's prompt and model, or just its version."""
    moved = f"{one.ref} -> {other.ref}"
    try:
        before, after = session.get(one.ref), session.get(other.ref)
    except NotFound:
        return [Change(role, "changed", moved)]
    kind, _, name = role.partition(" ")
    found = _use_changes(before, after, session)
    if kind == "component":
        found = [replace(change, part=f"prompt {name}") if change.part == "prompt" else change for change in found]
        kind = "model"
    details = list(_content_details(before.content, after.content))
    if details:
        texts = [detail for detail in details if "\n" not in detail]
        lines = "\n".join(detail for detail in details if "\n" in detail)
        shown = "; ".join([*texts, moved] if kind != "model" else texts)
        found.append(Change(f"{kind} {name}" if name else role, "changed", shown, lines))
    return found or [Change(role, "changed", moved)]


def _content_details(before: Json, after: Json, path: str = "") -> Iterator[str]:
    """The places where two contents differ: `parameters.temperature 0 -> 0.7`; for long texts a unified diff."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _content_details(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _content_details(one, other, f"{path}[{number}]")
    elif before != after:
        one, other = ("nothing" if value is None else str(value) for value in (before, after))
        if max(len(one), len(other)) > 60 or "\n" in one + other:
            yield f"{path}\n{unified(one, other)}"
        else:
            yield f"{path} {one} -> {other}"


# -- the rest


def _entries(kind: str, before: Mapping[str, Any], after: Mapping[str, Any], *, setting: bool = False) -> list[Change]:
    found: list[Change] = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one == other:
            continue
        if name not in before:
            found.append(Change(f"{kind} {name}", "added", str(other), setting=setting))
        elif name not in after:
            found.append(Change(f"{kind} {name}", "removed", str(one), setting=setting))
        else:
            found.append(Change(f"{kind} {name}", "changed", f"{_word(one)} -> {_word(other)}", setting=setting))
    return found


def _word(value: object) -> str:
    return "unset" if value is None else "another value" if str(value).startswith("keyed ") else str(value)


def _listed(kind: str, before: list[str], after: list[str]) -> list[Change]:
    gone = [Change(kind, "removed", one) for one in before if one not in after]
    return gone + [Change(kind, "added", one) for one in after if one not in before]


def _setting_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The second block: where the two ran."""
    if not before or not after:
        return []
    plain = [{key: value for key, value in side.items() if not isinstance(value, dict)} for side in (before, after)]
    found = _entries("setting", *plain, setting=True)
    for name in ("distributions", "environment"):
        kind = {"distributions": "installed", "environment": "environment variable"}[name]
        found += _entries(kind, before.get(name, {}), after.get(name, {}), setting=True)
    return found
