"""What only the live object and the process know, and the traps that others fell into."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from example import Job, captured, write

MAKE = """import re
import threading
from enum import Enum
from pathlib import Path


class Colour(Enum):
    RED = 1


class Box:
    def __init__(self, size):
        self.size = size

    def __call__(self, question):
        return self.ask(question)

    def ask(self, question):
        return question * self.size


def make(k, extra=None):
    def qa(question, n=k):
        return str(question) * k + str(extra)

    return qa


def plain(question, top=3):
    return helper(question)


def helper(question):
    return question


def loud(fn):
    def wrapper(*args):
        return fn(*args).upper()

    return wrapper


@loud
def wrapped(question):
    return helper(question)
"""


def both(root: Path, one: str, other: str, target: str = "app:make") -> tuple[dict, dict]:
    write(root, {"afere.yaml": "project: p\n", "app.py": MAKE})
    first, second = captured(Job(root, target, one), Job(root, target, other))
    return first, second


def differ(root: Path, one: str, other: str, target: str = "app:make") -> bool:
    first, second = both(root, one, other, target)
    return first["hash"] != second["hash"]


def test_what_a_closure_holds_is_part_of_the_chain(tmp_path: Path) -> None:
    assert differ(tmp_path / "p", "target = target(3)", "target = target(4)")
    first, _ = both(tmp_path / "p", "target = target(3)", "")
    assert first["content"]["parts"]["closure k of make.<locals>.qa"] == {"value": "3"}


def test_bound_arguments_and_instance_state_are_part_of_the_chain(tmp_path: Path) -> None:
    bind = "from functools import partial; target = partial(target, top={})"
    assert differ(tmp_path / "p", bind.format(1), bind.format(2), "app:plain")
    assert differ(tmp_path / "q", "target = target(1)", "target = target(2)", "app:Box")
    assert differ(tmp_path / "r", "target = target(1).ask", "target = target(2).ask", "app:Box")


def test_values_have_one_text_whatever_the_process(tmp_path: Path) -> None:
    value = "{'set': {'a', 'b', 'c', 'd'}, 'colour': m.Colour.RED, 'path': m.Path('x/y'), 're': m.re.compile('a', 2), 'box': m.Box(m.helper)}"
    do = f"import app as m; target = target({value})"
    write(tmp_path / "p", {"afere.yaml": "project: p\n", "app.py": MAKE})
    first, second = (
        captured(Job(tmp_path / "p", "app:make", do), process=number)[0] for number in range(2)
    )  # two hash seeds
    assert first["hash"] == second["hash"]
    text = first["content"]["parts"]["closure k of make.<locals>.qa"]["value"]
    assert '"set": {"a", "b", "c", "d"}' in text
    assert "class Colour in app.py.RED" in text
    assert "size=function helper in app.py" in text
    assert "0x" not in text


def test_what_cannot_be_described_is_noted_and_stops_nobody(tmp_path: Path) -> None:
    write(tmp_path / "p", {"afere.yaml": "project: p\n", "app.py": MAKE})
    do = "target = target((n for n in range(3)), [object(), lambda: 1])"
    (found,) = captured(Job(tmp_path / "p", "app:make", do))
    assert any("builtins.generator; of it only the type counts" in note for note in found["notes"])


def test_a_decorator_without_wraps_does_not_hide_the_function(tmp_path: Path) -> None:
    write(tmp_path / "p", {"afere.yaml": "project: p\n", "app.py": MAKE})
    (found,) = captured(Job(tmp_path / "p", "app:wrapped"))
    assert {"function wrapped in app.py", "function helper in app.py", "function loud in app.py"} <= set(
        found["content"]["parts"]
    )


def test_a_patched_function_is_a_part_of_its_own_with_a_note(tmp_path: Path) -> None:
    do = "import app; app.helper = lambda q: 'patched'"
    first, second = both(tmp_path / "p", "", do, "app:plain")
    assert first["hash"] != second["hash"]
    assert any("helper in app.py: not the one in its file" in note for note in second["notes"])


def test_a_mock_is_not_taken_for_the_real_function(tmp_path: Path) -> None:
    do = "import app, unittest.mock; app.helper = unittest.mock.Mock()"
    assert differ(tmp_path / "p", "", do, "app:plain")


def test_code_that_changed_on_disk_after_the_start_is_not_claimed_to_run(tmp_path: Path) -> None:
    root = write(tmp_path / "p", {"afere.yaml": "project: p\n", "app.py": MAKE})
    edit = "import pathlib; f = pathlib.Path('app.py'); f.write_text({})"
    comment, body = (
        edit.format("'# top\\n' + f.read_text()"),
        edit.format("f.read_text().replace('return question\\n', 'return 1\\n')"),
    )
    (first,) = captured(Job(root, "app:plain"))
    (commented,) = captured(Job(root, "app:plain", comment))
    (stale,) = captured(Job(root, "app:plain", body))
    (restarted,) = captured(Job(root, "app:plain"))
    assert commented["hash"] == first["hash"]
    assert stale["hash"] not in (first["hash"], restarted["hash"])
    assert any("restart to run what is on disk" in note for note in stale["notes"])
    assert restarted["hash"] != first["hash"]
    assert not restarted["notes"]


CELL = """
import linecache, sys, types
sys.path.insert(0, '.')
main = types.ModuleType('__main__'); sys.modules['__main__'] = main
def run(source, file):
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(source, file, 'exec'), main.__dict__)
"""


def test_a_notebook_cell_is_named_by_what_it_says_not_by_its_number_or_kernel(tmp_path: Path) -> None:
    write(tmp_path / "p", {"afere.yaml": "project: p\n", "app.py": MAKE})
    helper = "K = {}\\ndef near(x):\\n    return x + K\\n"
    qa = "import app\\ndef qa(question):\\n    return near(app.helper(question))\\n"

    def cells(k: int, kernel: str, comment: str = "") -> Job:
        do = f'{CELL}\nrun("{helper.format(k)}", "/tmp/ipykernel_{kernel}/1.py")\nrun("{comment}{qa}", "/tmp/ipykernel_{kernel}/2.py")\ntarget = main.qa'
        return Job(tmp_path / "p", "app:make", do)

    first, again, other = captured(cells(1, "100"), cells(1, "2345", "# a comment\\n"), cells(2, "100"))
    assert first["hash"] == again["hash"]
    assert first["hash"] != other["hash"]
    parts = first["content"]["parts"]
    assert {"function qa in notebook", "function near in notebook", "function helper in app.py"} <= set(parts)
    assert parts["function near in notebook"]["names"] == {"K": "1"}


def test_code_without_source_counts_by_its_bytecode_and_says_so(tmp_path: Path) -> None:
    write(tmp_path / "p", {"afere.yaml": "project: p\n", "app.py": MAKE})
    do = "scope = {{}}; exec('def qa(x): return x + {}', scope); target = scope['qa']"
    one, same, other = captured(*(Job(tmp_path / "p", "app:make", do.format(n)) for n in (1, 1, 2)))
    assert one["hash"] == same["hash"] != other["hash"]
    assert any("one" in note or "bytecode" in note for note in one["notes"])


def test_a_text_kept_under_the_name_of_other_code_is_not_taken_for_its_source(tmp_path: Path) -> None:
    write(tmp_path / "p", {"afere.yaml": "project: p\n", "app.py": MAKE})
    cell = "def qa(x): return x + 1"
    do = "import linecache; linecache.cache['<string>'] = (9, None, [{!r}], '<string>'); scope = {{}}; exec({!r}, scope); target = scope['qa']"
    right, spaced, wrong, other = captured(
        *(
            Job(tmp_path / "p", "app:make", do.format(kept + "\n", run))
            for kept, run in (
                (cell, cell),
                (cell + "  # a", cell),
                (cell, cell.replace("1", "2")),
                (cell, cell.replace("1", "3")),
            )
        )
    )
    assert right["hash"] == spaced["hash"]
    assert len({one["hash"] for one in (right, wrong, other)}) == 3
    assert [any("bytecode" in note for note in one["notes"]) for one in (right, spaced, wrong, other)] == [
        False,
        False,
        True,
        True,
    ]


def test_a_secret_is_kept_nowhere_in_clear_and_its_change_is_seen(tmp_path: Path) -> None:
    source = "API_KEY = '{}'\n\ndef qa(question, password='{}'):\n    return API_KEY + question\n"
    roots = [
        write(tmp_path / name, {"afere.yaml": "project: p\n", "app.py": source.format(key, "hunter22")})
        for name, key in (("a", "swordfish1"), ("b", "swordfish2"))
    ]
    one, other = captured(*(Job(root, "app:qa") for root in roots))
    assert one["hash"] != other["hash"]
    assert one["content"]["parts"]["constant API_KEY in app.py"]["value"] == "secret"
    import sqlite3
    import zlib

    kept = b"".join(path.read_bytes() for path in (roots[0] / ".afere").rglob("*") if path.is_file())
    for blob in (roots[0] / ".afere" / "blobs").rglob("*"):
        if blob.is_file():
            data = blob.read_bytes()
            kept += zlib.decompress(data) if data[:1] == b"\x78" else data
    assert b"swordfish" not in kept
    assert b"hunter22" not in kept
    assert sqlite3.sqlite_version


def test_a_revision_is_the_same_object_of_facts_before_and_after_the_first_call(tmp_path: Path) -> None:
    source = "def qa(question):\n    from late import more\n    return more(question)\n"
    root = write(
        tmp_path / "p",
        {
            "afere.yaml": "project: p\n",
            "app.py": source,
            "late.py": "SEEN = []\n\n\ndef more(x):\n    SEEN.append(x)\n    return x\n",
        },
    )
    before, after = captured(Job(root, "app:qa"), Job(root, "app:qa", "target('x')"))
    assert before["hash"] == after["hash"]
    assert "function more in late.py" in before["content"]["parts"]


def test_what_afere_yaml_leaves_out_or_adds_is_part_of_the_revision(tmp_path: Path) -> None:
    source = "from lib import f\n\n\ndef qa(question):\n    return f()\n"
    files = {
        "app.py": source,
        "lib.py": "def f():\n    return 1\n",
        "more.py": "def g():\n    return 1\n",
        "words.txt": "a",
    }
    rules = {
        "all": "project: p\n",
        "without": "project: p\nrevision: {ignore: ['lib.py']}\n",
        "with": "project: p\nrevision: {include: ['more:g', words.txt]}\n",
    }
    roots = [write(tmp_path / name, {"afere.yaml": text, **files}) for name, text in rules.items()]
    whole, without, more = captured(*(Job(root, "app:qa") for root in roots))
    assert "function f in lib.py" in whole["content"]["parts"]
    assert "function f in lib.py" not in without["content"]["parts"]
    assert without["content"]["rules"] == {"ignore": ["lib.py"]}
    assert {"function g in more.py", "file words.txt"} <= set(more["content"]["parts"])


def test_what_a_model_can_read_of_a_tool_counts(tmp_path: Path) -> None:
    source = "import click\n\n\ndef lookup(name: str) -> str:\n    '''{}'''\n    return name\n\n\nTOOLS = [lookup]\n\n\ndef qa(question):\n    return {}\n"
    for number, use in enumerate(("TOOLS", "click.run(tools=lookup)", "lookup(question)")):
        roots = [
            write(tmp_path / f"{number}{word}", {"afere.yaml": "project: p\n", "app.py": source.format(word, use)})
            for word in ("Finds", "Looks")
        ]
        one, other = captured(*(Job(root, "app:qa") for root in roots))
        assert (one["hash"] != other["hash"]) is (use != "lookup(question)")


def test_an_object_of_another_library_counts_by_its_definition(tmp_path: Path) -> None:
    source = "import click\n\n\n@click.command()\ndef qa():\n    return helper()\n\n\ndef helper():\n    return {}\n"
    roots = [write(tmp_path / str(n), {"afere.yaml": "project: p\n", "app.py": source.format(n)}) for n in (1, 2)]
    one, other = captured(*(Job(root, "app:qa") for root in roots))
    assert {"function qa in app.py", "function helper in app.py"} <= set(one["content"]["parts"])
    assert one["hash"] != other["hash"]
