"""What the tests of `afere prompt` share: the command as typed, files of the project, a real server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afere.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "access"))
from access_site import Site, running

import afere
import afere.store


@pytest.fixture
def write(project: Path) -> Callable[[str, str], Path]:
    """`write("prompts/a.md", text)` puts a file into the project."""

    def put(name: str, text: str) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return put


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`run("prompt", "status")` -> (exit status, what was printed); errors too."""

    def typed(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["afere", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return typed


@pytest.fixture
def site(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server that is the store of this process, by a key that may write."""
    with afere.store.open(tmp_path / "server", project="handbook") as session:
        session.actors.create_key("first", project="*", scopes=["admin"])
        with running(session) as site:
            monkeypatch.setenv("AFERE_STORE", site.url)
            monkeypatch.setenv("AFERE_KEY", site.key("write"))
            site.ask("/prompts.json")  # what it imports at its first request takes longer than all later ones
            yield site
            afere.flush()  # no span waits for a server that is gone, and holds up the next test
