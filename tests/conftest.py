"""What tests share: a project of one's own in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of an empty project (with an afere.yaml), which is the working directory; nothing of the machine's settings."""
    for name in ("AFERE_STORE", "AFERE_KEY", "AFERE_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "project"
    root.mkdir()
    (root / "afere.yaml").write_text("project: handbook\n")
    monkeypatch.chdir(root)
    return root
