"""A version of a prompt written into its file: only the fields that differ change, comments and the rest stay."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from afere.base.artifact import Artifact, copied
from afere.base.canonical import Json
from afere.base.document import read_yaml
from afere.base.errors import BadPrompt, Refused
from afere.base.project import Project
from afere.chains.prompt import FOREIGN, Prompt, load_prompt, stored_prompt
from afere.chains.promptschema import VERSIONED
from afere.chains.shapes import ours, read_shape, shape_of, with_messages, write_shape
from afere.chains.shots import field_of
from afere.chains.template import read_text
from afere.store.files import whole_file

_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # what YAML takes only as an escape


def file_text(version: Artifact, path: Path, project: Project, written: Prompt | None) -> str:
    """The text of a prompt file that says what `version` holds; `written` is what the file says now, if it can be read.

    BadPrompt if no such text exists, as where a file that it includes says something else on this disk.
    """
    content = cast("dict[str, Json]", version.content)
    if path.name.endswith(FOREIGN):
        return _of_another_tool(version, path, project)
    _check_includes(content, version, path, project)
    old = read_text(path) if written is not None else ""
    named = by_reference(version)
    texts = [_edited(old, named, content, written)] if named != content else []
    texts += [_edited(old, content, content, written), _anew(old, content, version.name, path)]
    problem: BadPrompt | None = None
    for text in texts:
        try:
            if load_prompt(path, project, text=text).content == content:
                return text
        except BadPrompt as error:
            problem = error
    raise BadPrompt(
        f"{version.ref} cannot be written as {path.name}: {problem or 'read again, it would be another version'}. "
        f"Look at it: afere show {version.ref}"
    )


def _of_another_tool(version: Artifact, path: Path, project: Project) -> str:
    """The text of another tool's file: written whole, with the name, owner, model and parameters that the file says now."""
    held = stored_prompt(version)
    said: Mapping[str, Json] = read_shape(path, read_text(path)).fields if path.exists() else {}
    mine = {name: said[name] for name in ("name", "owner", "description", "model", "parameters") if said.get(name)}
    text, told = write_shape(
        replace(ours(held), fields={**ours(held).fields, **mine}, file=version.ref), shape_of(path)
    )
    lost = next(
        (one for one in told if one.how == "lost" and one.field not in mine and not one.field.startswith("inputs")),
        None,
    )
    kept = _kept(path, held, text) if path.exists() else None
    if lost is None and kept is not None and _says(kept, held, path, project):
        return kept
    if lost is not None or load_prompt(path, project, text=text).content != held.content:
        why = f"{lost.field}: {lost.why}" if lost else "read again, it would be another version"
        raise BadPrompt(
            f"{version.ref} cannot be written as {path.name}: {why}. Keep it as a file of ours: "
            f"afere prompt convert {path.name} --to afere > {path.name.partition('.')[0]}.md, remove {path.name}, and pull again."
        )
    return text


def _kept(path: Path, held: Prompt, new: str) -> str | None:
    """The old file, comments and all, with what the version changes; None where that cannot be told apart."""
    if shape_of(path) == "github":
        return with_messages(read_text(path), [(one.role, one.text) for one in ours(held).sections])
    return _body_alone(read_text(path), new)


def _body_alone(old: str, new: str) -> str | None:
    """The old front matter, comments and all, with the new body; None where there is none."""
    before, after = old.split("\n"), new.split("\n")
    ends = _end(before), _end(after)
    return "\n".join([*before[: ends[0] + 1], *after[ends[1] + 1 :]]) if ends[0] and ends[1] else None


def _says(text: str, held: Prompt, path: Path, project: Project) -> bool:
    try:
        return load_prompt(path, project, text=text).content == held.content
    except BadPrompt:
        return False


def as_before(text: str, path: Path) -> str:
    """A text with the line ends and the byte order mark that its file has until now."""
    old = path.read_bytes() if path.is_file() else b""
    if b"\r\n" in old:
        text = text.replace("\n", "\r\n")
    return f"\ufeff{text}" if old.startswith(b"\xef\xbb\xbf") else text


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step; whoever reads it meanwhile sees the old text or the new one."""
    path = path.resolve()  # of a link, the file it leads to
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    with whole_file(path, mode=mode) as file:
        file.write(text.encode())


def _check_includes(content: Mapping[str, Json], version: Artifact, path: Path, project: Project) -> None:
    """What a version includes is part of it, and may be part of other prompts too: such a file is not overwritten."""
    for name, text in cast("dict[str, str]", content.get("includes") or {}).items():
        places = [root / name for root in (path.parent, project.root / "prompts")]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise Refused(
                f"{version.ref} includes {name!r}, which is not here. Write it to {places[0]}, then pull again."
            )
        if read_text(found) != text:
            raise Refused(
                f"{version.ref} includes {name!r} with another text than {found} has. Other prompts may include that file, so it "
                "is not overwritten. Change it, then pull again."
            )


def _anew(old: str, content: Mapping[str, Json], name: str, path: Path) -> str:
    """The whole file written from values; of the old front matter what no version holds."""
    lines = old.split("\n")
    end = _end(lines)
    said = read_yaml("\n".join(lines[1:end]), file=str(path)).value if end else None
    fields = {key: value for key, value in said.items() if key not in VERSIONED} if isinstance(said, dict) else {}
    fields.setdefault("name", name)
    fields |= {key: content[key] for key in VERSIONED if content.get(key) is not None}
    head = "".join(f"{key}: {flow(value)}\n" for key, value in fields.items())
    return f"---\n{head}---\n{content['template']}\n"


def by_reference(version: Artifact) -> dict[str, Json]:
    """A version's fields in which examples and snippets are not written out: they name the dataset they were copied from."""
    named = dict(cast("dict[str, Json]", version.content))
    for use in version.uses:
        place, _, name = field_of(use.role).partition(".")
        ref = use.ref.removeprefix("dataset:")
        if copied(use.role) and name:
            named[place] = {**cast("dict[str, Json]", named.get(place) or {}), name: ref}
        elif copied(use.role):
            said = named.get(place)
            named[place] = {**said, "data": ref} if isinstance(said, dict) else ref
    return named


def _edited(old: str, fields: Mapping[str, Json], content: Mapping[str, Json], written: Prompt | None) -> str:
    """The old file with another template, and with only those fields of the front matter written anew that differ."""
    lines = old.split("\n")
    end = _end(lines)
    if end is None or written is None:
        return f"{content['template']}\n"
    head = lines[1:end]
    for key in VERSIONED:
        if written.content.get(key) != content.get(key):
            head = _without(head, key)
            if fields.get(key) is not None:
                head.append(f"{key}: {flow(fields[key])}")
    return "\n".join(["---", *head, "---", f"{content['template']}\n"])


def _end(lines: list[str]) -> int | None:
    """The line that closes the front matter."""
    if lines[0].rstrip() != "---":
        return None
    return next((number for number, line in enumerate(lines[1:], start=1) if line.rstrip() == "---"), None)


def _without(head: list[str], key: str) -> list[str]:
    """The front matter without a field: its line, and those below that are further in."""
    kept: list[str] = []
    inside = False
    for line in head:
        if line[:1] not in (" ", "\t", "") and not line.startswith("#"):
            inside = line.partition(":")[0].strip() == key and not line.startswith("- ")
        if not inside:
            kept.append(line)
    return kept


def flow(value: Json) -> str:
    """A value on one line, as YAML and JSON both read it."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
