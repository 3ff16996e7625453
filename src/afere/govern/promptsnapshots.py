"""Kept renderings of a prompt: `answer.snapshots.yaml` beside `answer.test.yaml`, reviewed and committed like code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from afere.base.document import check, read_yaml
from afere.base.errors import BadPrompt
from afere.chains.template import read_text
from afere.govern.promptchecks import Failure, difference
from afere.govern.promptwriting import write_atomically

_HEAD = "# What prompts say once filled in. Written by: afere prompt test --update\n"


class Snapshots:
    """The snapshots of one test file. `update`: they become what is rendered now; else they are only compared with."""

    def __init__(self, tests: Path, shown: str, *, update: bool) -> None:
        ending = next(end for end in (".test.yaml", ".test.yml") if tests.name.endswith(end))
        self._file = tests.with_name(tests.name.removesuffix(ending) + ".snapshots.yaml")
        self._shown = shown.removesuffix(ending) + ".snapshots.yaml"
        self._update = update
        self._now: dict[str, str] = {}
        self._problem = ""
        self._kept: dict[str, str] = {}
        if self._file.is_file():
            try:
                document = read_yaml(read_text(self._file), file=self._shown, error=BadPrompt)
                check(
                    document, {"type": ["object", "null"], "additionalProperties": {"type": "string"}}, error=BadPrompt
                )
                self._kept = dict(document.value) if isinstance(document.value, dict) else {}  # pyright: ignore[reportAttributeAccessIssue]
            except BadPrompt as problem:
                self._problem = f"{problem} Write it anew: afere prompt test --update"

    def compare(self, name: str, text: str) -> list[Failure]:
        self._now[name] = text
        if self._update:
            return []
        if self._problem:
            return [Failure("snapshot", self._problem)]
        if (kept := self._kept.get(name)) is None:
            return [
                Failure("snapshot", f"none is kept in {self._shown} yet. Keep it: afere prompt test --update", text)
            ]
        if kept.rstrip("\n") == text.rstrip("\n"):
            return []
        why = f"it is not what {self._shown} keeps. If it should be: afere prompt test --update"
        return [Failure("snapshot", why, difference(kept, text))]

    def leave(self, test: str) -> None:
        """What is kept of a test that could not be filled in stays as it is."""
        self._now |= {name: text for name, text in self._kept.items() if name == test or name.startswith(f"{test}: ")}

    def write(self) -> list[str]:
        """Keep what was rendered, if that was asked and is another; the name of the file that was written or taken away."""
        if not self._update or (self._now == self._kept and not self._problem):
            return []
        if not self._now:
            self._file.unlink(missing_ok=True)
        else:
            write_atomically(self._file, _HEAD + _dump(self._now))
        return [self._shown]

    def notes(self) -> list[str]:
        left = [] if self._update else sorted(set(self._kept) - set(self._now))
        return [f"{self._shown}: no test has {name!r} any more. --update takes it out." for name in left]


def _dump(texts: dict[str, str]) -> str:
    """YAML in which each text stands line by line, as a reviewer reads it."""
    import yaml

    class Lines(yaml.SafeDumper):
        pass

    def lines(dumper: Any, text: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)

    Lines.add_representer(str, lines)
    return str(yaml.dump(texts, Dumper=Lines, allow_unicode=True, sort_keys=False, width=10_000))  # pyright: ignore[reportUnknownMemberType]
