"""`afere run` where its trace cannot be kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = ("setpriv", "--reuid=65534", "--clear-groups") if os.geteuid() == 0 else ()


def run(*words: str, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*before, sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)


def test_a_run_on_a_read_only_store_answers_and_says_that_it_was_not_kept(project: Path, write) -> None:
    for above in (project, *project.parents):  # so that another user can come here
        if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 0o001:
            above.chmod(0o755)
    if run("-c", "import afere", before=NOBODY).returncode:
        pytest.skip("root may write everywhere, and no other user can run this Python")
    write("afere.yaml", 'project: handbook\nchains: {qa: "app:qa"}\n')
    write("app.py", "import afere\n@afere.chain\ndef qa(question: str) -> str: return 'Lisbon'\n")
    first = run("-m", "afere.cli.main", "run", "qa", "Capital?")
    assert "Look at it: afere show" in first.stdout, first.stderr
    folder = project / ".afere"
    paths = [*folder.rglob("*"), folder]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        said = run("-m", "afere.cli.main", "run", "qa", "Capital?", before=NOBODY)
    finally:
        for path in paths:
            path.chmod(0o755)
    assert said.stdout.startswith("Lisbon\n"), said.stderr
    assert "This run was not kept" in said.stdout and "afere show" not in said.stdout
