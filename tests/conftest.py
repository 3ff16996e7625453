"""What tests share: a project of one's own in an empty folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples on every machine, so that a change is judged by itself; `--hypothesis-profile=explore` looks for new ones.
# A busy machine is no failure.
settings.register_profile("same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", settings.get_profile("same"), derandomize=False, print_blob=True)
settings.load_profile("same")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of an empty project (with an afere.yaml), which is the working directory; nothing of the machine's settings."""
    for name in ("AFERE_STORE", "AFERE_KEY", "AFERE_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "project"
    root.mkdir()
    (root / "afere.yaml").write_text("project: handbook\n")
    monkeypatch.chdir(root)
    # A project's own modules are found by its folder, so those of an earlier test's project must not be.
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "app", raising=False)
    # A module that a test writes again within a second, as long as before, is the old one to Python's cache of compiled ones.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return root
