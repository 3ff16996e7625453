"""What the tests of chains share: a scripted model and a way to write files into the project."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from afere.testing import ScriptedModel

_number = itertools.count()


@pytest.fixture
def model() -> ScriptedModel:
    """A scripted model of a name of its own; prompts name it as `scripted:{model.name}`."""
    return ScriptedModel(f"m{next(_number)}", {"": "Paris"})


@pytest.fixture
def write(project: Path) -> Callable[..., Path]:
    """`write("prompts/a.md", text)` puts a file into the project."""

    def put(name: str, text: str | bytes) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return put
