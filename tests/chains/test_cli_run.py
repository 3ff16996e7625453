"""`afere run`, `afere replay` and `afere exec`, as typed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from afere.cli.main import main

APP = """\
import afere
from afere.testing import ScriptedModel

ScriptedModel("capitals", {"Kindly": "Lisbon, dear", "Portugal": "Lisbon", "": "?"})
answer = afere.prompt("prompts/answer.md", model="scripted:capitals")

@afere.chain
def qa(question: str, k: int = 2) -> str:
    if question == "break":
        raise ValueError("broken on purpose")
    return answer(q=question)

@afere.chain
async def aqa(question: str) -> dict:
    return {"answer": await answer.aio(q=question)}
"""


@pytest.fixture(autouse=True)
def app(project: Path, write) -> None:
    write("afere.yaml", 'project: handbook\nchains: {qa: "app:qa", aqa: "app:aqa"}\n')
    write("app.py", APP)
    write("prompts/answer.md", "{{ q }}")
    write("prompts/kind.md", "Kindly: {{ q }}")


def afere(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "afere.cli.main", *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_run_prints_the_answer_and_where_to_look_and_replay_swaps_a_part() -> None:
    said = afere("run", "qa", "Capital of Portugal?")
    assert said.returncode == 0, said.stderr
    answer, line, after = said.stdout.splitlines()
    assert answer == "Lisbon"
    assert "3 + 1 tokens · cost unknown · chain:qa~" in line
    assert after.startswith("Look at it: afere show ")
    shown = afere("show", after.split()[-1])
    assert shown.returncode == 0 and "Lisbon" in shown.stdout

    again = afere("replay", after.split()[-1], "--with", "answer=prompts/kind.md", "--times", "2")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("replayed: Lisbon, dear") == 2 and "recorded: Lisbon\n" in again.stdout
    value = json.loads(afere("replay", after.split()[-1], "--json").stdout)
    assert value["recorded"] == "Lisbon"
    assert (value["items"][0]["output"], value["items"][0]["exact"], value["items"][0]["notes"]) == ("Lisbon", True, [])


def test_run_takes_json_and_async_chains_and_answers_scripts() -> None:
    said = afere("run", "app:aqa", "--input", '{"question": "Portugal"}', "--json")
    value = json.loads(said.stdout)
    assert value["output"] == {"answer": "Lisbon"} and value["totals"]["spans"] == 2
    assert value["revision"].startswith("chain:aqa~") and len(value["trace_id"]) == 32


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("run", "qaa", "x"), 2, "There is no chain called 'qaa'. Did you mean 'qa'?"),
        (("run", "qa"), 2, "qa needs 'question'. It takes: question, k."),
        (("run", "qa", "--input", "{"), 2, "--input is not JSON"),
        (("run", "qa", "--input", '{"questoin": "x"}'), 2, "qa has no parameter 'questoin'"),
        (
            ("run", "qa", "break"),
            1,
            "qa raised ValueError: broken on purpose (app.py:10). Look at what ran: afere show ",
        ),
        (("replay", "feedfeed"), 2, "There is no trace 'feedfeed'"),
        (("exec", "--", "no-such-program"), 2, "There is no program 'no-such-program'"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_a_status(
    words: tuple[str, ...], status: int, told: str, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(sys, "argv", ["afere", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr().err
    assert ended.value.code == status
    assert told in said and "Traceback" not in said


def test_exec_passes_on_place_trace_and_status(project: Path, write) -> None:
    write(
        "elsewhere/program.py",
        "import os, sys, app; print(app.qa('Portugal'), os.environ['TRACEPARENT'][:3]); sys.exit(7)",
    )
    said = subprocess.run(
        [
            sys.executable, "-m", "afere.cli.main", "exec", "--", "env", f"PYTHONPATH={project}:{project}/elsewhere",
            sys.executable, "elsewhere/program.py",
        ],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (said.returncode, said.stdout) == (7, "Lisbon 00-\n"), said.stderr
    traces = json.loads(afere("traces", "--json").stdout)["items"]
    assert {item["name"]: item["status"] for item in traces} == {"qa": "ok", "env": "error"}


@pytest.mark.parametrize(("how", "status", "output"), [("SIGTERM", "ok", "stopped by SIGTERM"), ("SIGINT", "ok", "stopped by SIGINT"), ("SIGKILL", "error", None)])  # fmt: skip
def test_a_program_that_was_stopped_under_exec_has_not_failed(how: str, status: str, output: str | None) -> None:
    code = f"import os, signal; s = signal.{how}; s == 9 or signal.signal(s, signal.SIG_DFL); os.kill(os.getpid(), s)"
    assert afere("exec", "--", sys.executable, "-c", code).returncode == 128 + signal.Signals[how]
    (root,) = json.loads(afere("traces", "--json").stdout)["items"]
    assert (root["status"], root["output"]) == (status, output)


def test_under_exec_the_user_s_own_sitecustomize_still_runs(project: Path, write, monkeypatch) -> None:
    write("own/sitecustomize.py", "import os; os.environ['MINE'] = 'ran'")
    monkeypatch.setenv("PYTHONPATH", str(project / "own"))
    said = afere("exec", "--", sys.executable, "-c", "import os; print(os.environ['MINE'])")
    assert (said.returncode, said.stdout) == (0, "ran\n"), said.stderr


@pytest.mark.parametrize("words", [("run", "slow:wait", "x"), ("eval", "wait")])
def test_ctrl_c_says_what_is_kept(words: tuple[str, ...], project: Path, write) -> None:
    write("slow.py", "import afere, time, pathlib\n\n@afere.chain\ndef wait(question):\n"
          "    pathlib.Path('begun').touch()\n    time.sleep(30)\n")  # fmt: skip
    write("data.jsonl", '{"input": {"question": "a"}}\n{"input": {"question": "b"}}\n')
    write("evals/wait.yaml", "name: wait\ntarget: slow:wait\ndata: data.jsonl\nscorers: [exact]\n")
    child = subprocess.Popen(
        [sys.executable, "-m", "afere.cli.main", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (project / "begun").exists():
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    kept = {"run": "what ran until then is kept: afere show ", "eval": "0 of 2 rows are finished and kept"}[words[0]]
    assert kept in said and "Traceback" not in said


@pytest.mark.parametrize("command", [("run", "qa", "x"), ("run", "app:qa", "x"), ("eval", "qa"), ("eval", "plain")])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import afere\n\nimport nosuch\n", "app.py:3: ModuleNotFoundError: No module named 'nosuch'."),
        ("import afere\ndef broken(:\n", "app.py:2: SyntaxError: "),
        ("def made():\n    return {}['key']\n\nmade()\n", "app.py:2: KeyError: 'key'."),
        ("raise SystemExit(0)\n", "app.py:1: SystemExit: 0."),
    ],
)
def test_a_module_that_does_not_import_is_wrong_use_with_its_line(
    command: tuple[str, ...], code: str, said: str, write, monkeypatch, capsys
) -> None:
    write("app.py", code)
    write("data.jsonl", '{"id": "a", "input": {"question": "1"}, "expected": "1"}\n')
    for name, target in (("qa", "qa"), ("plain", "app:function")):
        write(f"evals/{name}.yaml", f"name: {name}\ntarget: {target}\ndata: data.jsonl\nscorers: [exact]\n")
    monkeypatch.setattr(sys, "argv", ["afere", *command])
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop("app", None)
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out) == (2, "")
    assert said in told.err and told.err.count("\n") == 1, told.err


def test_an_empty_answer_is_said_to_be_one(write) -> None:
    write("app.py", APP.replace('"": "?"', '"": ""'))
    said = afere("run", "qa", "Nothing known")
    assert said.returncode == 0 and said.stdout.startswith("\n")
    assert said.stderr == "note: capitals answered nothing (finish reason: stop).\n"
    assert afere("run", "qa", "Portugal").stderr == ""
