"""`afere traces` and `afere score`, as typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import afere
from afere.cli.main import main
from afere.tracing import flush


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


Typed = Callable[..., Done]


@pytest.fixture
def afere_(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Run the command line with these arguments."""

    def typed(*arguments: str) -> Done:
        monkeypatch.setattr("sys.argv", ["afere", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return Done(int(stop.value.code or 0), out, err)

    return typed


def test_traces_are_listed_found_and_scored(project: Path, afere_: Typed) -> None:
    (project / "afere.yaml").write_text("project: handbook\ncontent: none\n")
    assert "No traces yet" in afere_("traces").stdout
    with afere.span("qa", kind="chain") as live, afere.context(user="42"):
        live.input("[red]private[/red]")
    with pytest.raises(ValueError), afere.span("broken", kind="chain"):
        raise ValueError("[bold]out of stock")
    flush()
    listed = afere_("traces")
    assert listed.returncode == 0, listed.stderr
    assert live.trace_id[:8] in listed.stdout and "[text of 18 characters]" in listed.stdout
    found = json.loads(afere_("traces", "user:42", "-status:error", "-chain:other", "--json").stdout)
    assert [(item["trace_id"], item["totals"]["spans"]) for item in found["items"]] == [(live.trace_id, 1)]
    first = json.loads(afere_("traces", "--limit", "1", "--json").stdout)
    second = json.loads(afere_("traces", "--limit", "1", "--cursor", first["next"], "--json").stdout)
    assert [first["items"][0]["name"], second["items"][0]["name"]] == ["broken", "qa"] and second["next"] is None
    made = json.loads(afere_("score", live.trace_id[:7], "helpful", "true", "--by", "user:42", "--json").stdout)
    assert (made["target"], made["value"], made["by"]) == (live.trace_id, True, "user:42")
    with afere.open() as session:
        assert [score.name for score in session.find("scores", target=live.trace_id).items] == ["helpful"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("traces", "latncy>2s"), "Did you mean latency?"),
        (("score", "abcdef", "helpful", "true", "--by", "user:1"), "There is no trace 'abcdef'"),
        (("score", "???", "helpful", "true", "--by", "user:1"), "cannot be scored"),
        (("score", "a" * 32, "helpful", "true", "--by", "me"), "write who judged"),
    ],
)
def test_wrong_use_is_one_sentence_and_status_2(
    project: Path, afere_: Typed, arguments: tuple[str, ...], says: str
) -> None:
    done = afere_(*arguments)
    assert done.returncode == 2 and says in done.stderr and "Traceback" not in done.stderr
