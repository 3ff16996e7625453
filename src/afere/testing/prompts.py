"""Tests of prompts as items of pytest: what `afere prompt test` runs, with its failures and places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afere.base.project import FILE, find_project
from afere.govern.prompttests import Tested, prompt_beside, run_tests, told


def is_ours(file: Path) -> bool:
    """Whether a file of tests belongs to a prompt of a project of afere; other tools name files so, too."""
    beside = prompt_beside(file) is not None or "prompts" in file.parts
    return beside and any((folder / FILE).is_file() for folder in file.parents)


class PromptTests(pytest.File):
    """`answer.test.yaml`."""

    def collect(self) -> Iterator[pytest.Item]:
        for one in run_tests(find_project(self.path.parent), [self.path]).tests:
            item: PromptTest = PromptTest.from_parent(self, name=one.name)  # pyright: ignore[reportUnknownMemberType]
            item.tested = one
            yield item


class PromptTest(pytest.Item):
    """One test of it, already run: filling in a prompt takes no time worth waiting for."""

    tested: Tested

    def runtest(self) -> None:
        if not self.tested.passed:
            raise _Failed("\n".join([f"{self.tested.place}:", *told(self.tested)]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, _Failed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        line = self.tested.place.rpartition(":")[2]
        return self.path, int(line) - 1 if line.isdigit() else 0, self.name


class _Failed(Exception): ...
