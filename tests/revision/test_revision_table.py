"""The table "What makes a new revision", row by row: one edit of the example project each."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from example import FILES, Job, captured, write

CHAIN, CLEAN, TOOLS, RETRIEVE = "app/chain.py", "app/text/clean.py", "app/tools.py", "app/retrieve.py"


@dataclass
class Edit:
    """A change to the project: replace text in a file, or write files. `new` is whether it makes a new revision."""

    name: str
    new: bool
    file: str = ""
    old: str = ""
    text: str = ""
    files: dict[str, str] = field(default_factory=dict)
    do: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def apply(self) -> dict[str, str]:
        files = {**FILES, **self.files}
        if self.file:
            assert self.old in files[self.file], self.name
            files[self.file] = files[self.file].replace(self.old, self.text)
        return files


EDITS = [
    # does not run
    Edit("comment", False, CLEAN, "def lower(text):", "# small letters\ndef lower(text):  # only\n\n"),
    Edit("quotes and parentheses", False, CLEAN, 'return " ".join(WORDS.findall(lower(text)))', "return (' '.join((WORDS.findall(lower(text)))))"),
    Edit("layout", False, CLEAN, "return text.lower()", "return (\n        text\n        .lower()\n    )"),
    Edit("import order", False, CLEAN, "import re\nimport json", "import json\nimport re"),
    Edit("import order of the chain", False, CHAIN, "import json\nimport os\n", "import os\nimport json\n"),
    Edit("order of functions", False, files={CLEAN: FILES[CLEAN].replace("def lower(text):\n    return text.lower()\n", "") + "\n\ndef lower(text):\n    return text.lower()\n"}),
    Edit("pass", False, CLEAN, "    return text.lower()", "    pass\n    return text.lower()"),
    Edit("line ends", False, files={CLEAN: FILES[CLEAN].replace("\n", "\r\n")}),
    Edit("number in other digits", False, "app/config.py", "TIMEOUT = 30", "TIMEOUT = 3_0"),
    Edit("docstring of a plain helper", False, CLEAN, "Lower case, one space.", "Tidy."),
    Edit("annotation of a plain helper", False, CLEAN, "def clean(text: str) -> str:", "def clean(text: object):"),
    Edit("annotation of a local", False, CLEAN, "    return text.lower()", "    text: str\n    return text.lower()"),
    # what the model reads
    Edit("docstring of a registered tool", False, TOOLS, "Days of leave in a country.", "Leave."),
    Edit("docstring of a schema class", True, RETRIEVE, "Finds passages.", "Finds."),
    Edit("annotation of a field", True, RETRIEVE, "text: str\n", "text: bytes\n"),
    Edit("annotation in a class with a base", True, RETRIEVE, "question: str", "question: object"),
    # runs
    Edit("body of the chain", True, CHAIN, "str(passages)", "repr(passages)"),
    Edit("body two imports away", True, CLEAN, "text.lower()", "text.casefold()"),
    Edit("4 is not 4.0", True, "app/config.py", "LIMIT = 4", "LIMIT = 4.0"),
    Edit("default", True, CHAIN, "pad=1", "pad=2"),
    Edit("decorator", True, CHAIN, "def helper", "@staticmethod\ndef helper"),
    Edit("nested function", True, CHAIN, "word * pad", "pad * word"),
    Edit("comprehension", True, CHAIN, "question.split()", "question.split(',')"),
    Edit("lambda", True, CHAIN, "return [inner(word)", "inner = lambda w: w\n    return [inner(word)"),
    Edit("method", True, RETRIEVE, "[Found(question)]", "[Found(question, 1.0)]"),
    Edit("method of a base class", True, RETRIEVE, "        return self\n", "        return None\n"),
    Edit("base class", True, RETRIEVE, "class Retriever(Base)", "class Retriever(dict)"),
    Edit("class attribute", True, RETRIEVE, "limit = 5", "limit = 6"),
    Edit("dataclass field", True, RETRIEVE, "score: float = 0.0", "score: float = 0.5"),
    Edit("enum field", True, RETRIEVE, "PAGE = 2", "PAGE = 3"),
    Edit("constant", True, "app/config.py", "LIMIT = 4", "LIMIT = 5"),
    Edit("condition of a constant", True, "app/config.py", "if LIMIT > 3", "if LIMIT > 2"),
    Edit("other branch of a constant", True, "app/config.py", "'few'", "'none'"),
    Edit("what computes a constant", True, "app/config.py", "[1, 2]", "[1, 3]"),
    Edit("what another module sets it to", True, "app/setup.py", "60", "61"),
    Edit("import effect of a package", True, "app/__init__.py", "'1'", "'2'"),
    Edit("regular expression", True, CLEAN, "[a-z]+", "[a-z0-9]+"),
    Edit("import pointed elsewhere", True, "app/text/__init__.py", "import clean", "import lower as clean"),
    Edit("literal default of an environment variable", True, CHAIN, '"small"', '"large"'),
    # cannot be reached
    Edit("unused function", False, CLEAN, "def unused(text):\n    return text", "def unused(text):\n    return None"),
    Edit("unused constant", False, "app/config.py", "LIMIT = 4", "OTHER = 1\nLIMIT = 4"),
    Edit("unused import", False, CLEAN, "import json", "import csv"),
    Edit("unused class", False, RETRIEVE, "class Base:", "class Unused:\n    pass\n\n\nclass Base:"),
    Edit("unused module", False, "app/loose.py", "return 1", "return 2"),
    Edit("unused data file", False, "data/unused.json", "{}", "[]"),
    Edit("other chain in the file", False, CHAIN, "    return question\n", "    return question + '?'\n"),
    Edit("main guard", False, CHAIN, 'print(qa("x"))', 'print(qa("y"))'),
    # can be reached
    Edit("tool added to a registry", True, TOOLS, "import register\n", "import register\n\n\n@register\ndef weeks(country):\n    return 1\n"),
    Edit("body of a registered tool", True, TOOLS, "len(country)", "len(country) + 1"),
    Edit("module added to a package imported by computed name", True, files={"app/plugins/beta.py": "def run():\n    return 'beta'\n"}),
    Edit("module of a package imported by computed name", True, "app/plugins/alpha.py", "'alpha'", "'ALPHA'"),
    Edit("function moved to another file", True, files={
        "app/text/small.py": "def lower(text):\n    return text.lower()\n",
        CLEAN: FILES[CLEAN].replace("def lower(text):\n    return text.lower()\n", "from app.text.small import lower\n"),
    }),
    Edit("local variable renamed", True, CHAIN, "passages", "found"),
    # named in code
    Edit("prompt word", True, "prompts/answer.md", "briefly", "at length"),
    Edit("parameter", True, "prompts/answer.md", "temperature: 0", "temperature: 0.7"),
    Edit("model", True, "prompts/answer.md", "gpt-x", "gpt-y"),
    Edit("comment in a prompt's front matter", False, "prompts/answer.md", "model: openai:gpt-x", "# which\nmodel: openai:gpt-x"),
    Edit("key order in a prompt's front matter", False, "prompts/answer.md", "model: openai:gpt-x\nparameters: {temperature: 0}", "parameters: {temperature: 0}\nmodel: openai:gpt-x"),
    Edit("data file", True, "data/synonyms.json", "leave", "holiday"),
    # setting and state
    Edit("environment variable", False, environment={"MODEL": "huge"}),
    Edit("a cache that grew", False, do="import app.chain; app.chain._cache['x'] = 'y'"),
    Edit("everything imported before", False, do="import app.loose, app.plugins.alpha, app.text.clean"),
]  # fmt: skip


@pytest.fixture(scope="module")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    root = tmp_path_factory.mktemp("table")
    edits = [Edit("nothing", False), *EDITS]
    jobs = [
        Job(write(root / str(number), edit.apply()), do=edit.do, environment=edit.environment)
        for number, edit in enumerate(edits)
    ]
    return dict(zip([edit.name for edit in edits], captured(*jobs), strict=True))


@pytest.mark.parametrize("edit", EDITS, ids=[edit.name for edit in EDITS])
def test_what_makes_a_new_revision(revisions: dict[str, dict[str, Any]], edit: Edit) -> None:
    before, after = revisions["nothing"], revisions[edit.name]
    assert (before["hash"] != after["hash"]) is edit.new


def test_an_environment_variable_is_part_of_the_setting(revisions: dict[str, dict[str, Any]]) -> None:
    assert revisions["environment variable"]["setting"] != revisions["nothing"]["setting"]


def test_only_distributions_that_reached_code_names_are_part_of_it(revisions: dict[str, dict[str, Any]]) -> None:
    assert list(revisions["nothing"]["content"]["packages"]) == ["click"]


def test_what_is_not_seen_is_said(revisions: dict[str, dict[str, Any]]) -> None:
    assert any(
        "app/plugins/alpha.py can be imported as app.plugins.*" in note for note in revisions["nothing"]["notes"]
    )
