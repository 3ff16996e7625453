"""The demo's files: an ordinary project, copied into a folder where they can be changed."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from afere.base.errors import BadInput, StoreFailed

_MODEL_LINE = re.compile(r"^  (rewrite|answer): .*$", re.MULTILINE)
_LISTS = ("features.md", "reference/cli.md", "reference/dialects.md", "reference/python.md")
_KEPT = ".before"  # ending of a file that stands aside while another has its place


def place(folder: Path, model: str | None) -> None:
    """Put the demo into `folder`, keeping what is there; `model` (if named) is written into its afere.yaml."""
    try:
        for source in sorted(_material().rglob("*")):
            target = folder / source.relative_to(_material())
            if source.is_file() and "__pycache__" not in source.parts and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read_bytes())
        _copy_handbook(folder / "handbook")
        settings = folder / "afere.yaml"
        text = settings.read_text(encoding="utf-8")
        if model or "{model}" in text:
            settings.write_text(_MODEL_LINE.sub(rf"  \1: {model or 'local'}", text), encoding="utf-8")
        for kept in folder.glob(f"prompts/*{_KEPT}"):  # an earlier demo was killed while the next version stood in
            kept.replace(kept.with_suffix(""))
    except OSError as error:
        raise StoreFailed(
            f"{error.filename or folder}: cannot be written: {error.strerror}. Go to a folder you may write to, or name one: "
            "afere demo --folder DIR"
        ) from None


def _material() -> Path:
    return Path(str(files("afere.cli.demo"))) / "project"


def handbook() -> list[tuple[str, Path]]:
    """The pages of afere's own documentation by name, of the installed package or of a checkout; not those made from code,
    which are lists to look things up in rather than text that answers questions.
    """
    packaged = Path(str(files("afere.cli.demo"))) / "handbook"
    source = packaged if packaged.is_dir() else Path(__file__).parents[4] / "docs"
    pages = ((page.relative_to(source).as_posix(), page) for page in sorted(source.rglob("*.md")))
    return [(name, page) for name, page in pages if name not in _LISTS]


def _copy_handbook(target: Path) -> None:
    if target.exists():
        return
    for name, page in handbook():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(page.read_bytes())


@contextmanager
def in_place_of(file: Path, other: Path) -> Generator[None]:
    """While the block runs, `file` reads as `other` does; then it is what it was, even after an error."""
    if not other.is_file():
        raise BadInput(f"{other} is missing. Delete {other.parent.parent} and run afere demo again to get it back.")
    aside = file.with_name(file.name + _KEPT)
    file.replace(aside)
    try:
        file.write_bytes(other.read_bytes())
        yield
    finally:
        aside.replace(file)
