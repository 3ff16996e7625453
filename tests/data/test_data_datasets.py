"""Datasets: what people write becomes immutable versions, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import afere
from afere.base.errors import BadData, NoSuchArtifact
from afere.cli.main import cli
from afere.data.rows import Row, read_row, short


def write(project: Path, name: str, text: str | bytes) -> str:
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def test_identical_rows_are_the_same_version_and_old_versions_stay(project):
    first = afere.dataset(write(project, "data/qa.jsonl", '{"input": {"question": "a"}, "expected": "b"}\n'))
    again = afere.dataset([{"expected": "b", "input": {"question": "a"}}], name="qa")
    more = afere.dataset([{"input": {"question": "a"}, "expected": "c"}], name="qa")
    assert (first.ref, again.ref, more.ref) == ("dataset:qa@1", "dataset:qa@1", "dataset:qa@2")
    kept = afere.dataset("dataset:qa@1")
    assert kept.rows == first.rows
    assert kept.hash == first.hash
    assert kept.rows[0].expected == "b"
    assert afere.dataset("qa").ref == "dataset:qa@2"


def test_every_kind_of_file_gives_the_same_rows(project):
    import pyarrow
    from pyarrow import parquet

    rows = [
        {"id": "1", "question": "a, b", "expected": "yes", "tags": ["edge", "short"], "split": "test"},
        {"id": "2", "question": "é", "expected": "no"},
    ]
    write(project, "a.jsonl", "\ufeff" + "\r\n\r\n".join(json.dumps(row) for row in rows))
    write(project, "b.json", json.dumps(rows, indent=1))
    write(project, "c.csv", 'id,question,expected,tags,split\n1,"a, b",yes,edge; short,test\n\n2,é,no,,\n')
    write(
        project, "d.tsv", 'id\tquestion\texpected\ttags\tsplit\n1\ta, b\tyes\t["edge", "short"]\ttest\n2\té\tno\t\t\n'
    )
    parquet.write_table(pyarrow.Table.from_pylist(rows), project / "e.parquet")
    made = [afere.dataset(name, name="same") for name in ("a.jsonl", "b.json", "c.csv", "d.tsv", "e.parquet")]
    assert {data.ref for data in made} == {"dataset:same@1"}
    assert made[0].rows[0].tags == ("edge", "short")
    assert made[0].splits == {"test": 1}
    assert made[0].tags == {"edge": 1, "short": 1}


def test_rows_without_an_id_are_named_by_what_they_say(project):
    data = afere.dataset([{"input": {"q": 1}}, {"input": {"q": 2}}, {"input": {"q": 1}, "tags": ["x"]}])
    a, b, c = (row.id for row in data)
    assert c == f"{a}-2"
    assert [row.id for row in afere.dataset([{"input": {"q": 2}}, {"input": {"q": 1.0}}])] == [b, a]


def test_the_target_decides_which_loose_keys_are_input(project):
    row = afere.dataset([{"question": "a", "source": "web", "expected": "b"}]).rows[0]
    assert row.bind(["question"]) == {"question": "a"}
    assert row.metadata == {"question": "a", "source": "web"}
    assert Row("1", {"input": "plain"}).bind(["question"]) == {"question": "plain"}
    with pytest.raises(BadData, match="no input for text; the row's own keys are: question, source"):
        row.bind(["text"])
    with pytest.raises(BadData, match=r"'qestion'.* Did you mean 'question'"):
        Row("1", {"qestion": "a"}).bind(["question", "k"])


def test_a_version_says_what_changed_since_another(project):
    old = afere.dataset(
        [{"id": "a", "input": {"q": 1}}, {"id": "b", "input": {"q": 2}}, {"input": {"q": 3}, "expected": "x"}]
    )
    new = afere.dataset(
        [
            {"id": "a", "input": {"q": 1}, "tags": ["t"]},
            {"input": {"q": 3}, "expected": "y"},
            {"id": "c", "input": {"q": 4}},
        ]
    )
    change = old.diff(new)
    assert [row.id for row in change.added] == ["c"]
    assert [row.id for row in change.removed] == ["b"]
    assert [(c.before.input, c.fields) for c in change.changed] == [
        ({"q": 1}, ("tags",)),
        ({"q": 3}, ("id", "expected")),
    ]
    assert not new.diff(new)


def test_the_schema_tells_types_and_what_may_be_missing(project):
    data = afere.dataset(
        [{"input": {"q": "a", "k": 1}}, {"input": {"q": "b", "k": 1.5, "deep": {"x": [1, None]}}, "expected": True}]
    )
    assert data.schema["required"] == ["input"]
    inner = data.schema["properties"]["input"]
    assert inner["required"] == ["k", "q"]
    assert inner["properties"]["k"] == {"type": "number"}
    assert inner["properties"]["deep"]["properties"]["x"] == {"type": "array", "items": {"type": ["integer", "null"]}}
    assert data.schema["properties"]["expected"] == {"type": "boolean"}


def test_rows_can_be_held_to_the_schema_of_an_earlier_version(project):
    first = afere.dataset([{"input": {"question": "a"}, "expected": "b"}], name="qa")
    assert (
        afere.dataset([{"input": {"question": "c"}, "expected": "d"}], name="qa", schema=first.schema).ref
        == "dataset:qa@2"
    )
    with pytest.raises(BadData) as raised:
        afere.dataset(
            [{"input": {"question": 1}, "expected": "d"}, {"input": {}, "expected": "d"}],
            name="qa",
            schema=first.schema,
        )
    assert "row 1: input.question: 1 is not of type" in str(raised.value)
    assert 'row 2: input: "question" is a required property' in str(raised.value)


BROKEN = [
    ("a.jsonl", '{"input": {"q": 1}}\n{"input": {"q": 1}', "a.jsonl:2: column 19: this is not JSON"),
    ("a.jsonl", '{"input": {"q": 1, "q": 2}}', "a.jsonl:1: q: stands twice"),
    ("a.jsonl", '{"input": {"q": NaN}}', "a.jsonl:1: NaN is not a JSON number; write null"),
    ("a.jsonl", '{"input": {"q": 1e999}}', "a.jsonl:1: input.q is inf"),
    ("a.jsonl", '{"input": {"q": 9007199254740993}}', "too large for a JSON number to be exact; write it as text"),
    ("a.jsonl", '{"input": {"q": "\\ud800"}}', "a.jsonl:1: input: "),
    ("a.jsonl", '{"input": null, "expected": "x"}', "a.jsonl:1: input: missing"),
    ("a.jsonl", '{"expected": "x"}', 'a.jsonl:1: input: missing; write the target\'s parameters'),
    ("a.jsonl", '{"input": {"q": 1}, "tags": "edge"}', 'a.jsonl:1: tags: must be a list of text such as ["edge"], not text'),
    ("a.jsonl", '{"input": {"q": 1}, "weight": -1}', "a.jsonl:1: weight: must be a number from 0 up"),
    ("a.jsonl", '{"q": 1, "metadata": {"q": 2}}', "a.jsonl:1: q: stands both in the row and in its metadata"),
    ("a.jsonl", '{"id": "x", "q": 1}\n{"id": "x", "q": 2}', "a.jsonl:2: id: 'x' already stands at a.jsonl:1"),
    ("a.jsonl", "[1]", "this is a JSON array. Name the file .json"),
    ("a.jsonl", "", "a.jsonl: the dataset is empty"),
    ("a.jsonl", '{"q": "café"}'.encode("cp1252"), "a.jsonl:1: byte 0xe9 is not UTF-8"),
    ("a.jsonl", '{"q": "a"}'.encode("utf-16"), "this is UTF-16, not UTF-8. Save it as UTF-8, or run: iconv"),
    ("a.json", '[{"q": 1}\n{"q": 2}]', "a.json:2: this is not JSON: a ',' or the closing ']' is missing"),
    ("a.json", '{"q": 1}', "a .json dataset is an array of rows"),
    ("a.csv", "q,expected\na,b,c\n", "a.csv:2: 3 cells, but the header has 2"),
    ("a.csv", "q;expected\na;b;c\n", "a.csv:2: 3 cells, but the header has 2; quote cells that hold a semicolon"),
    ("a.csv", "q,expected\ncafé,x\n".encode("cp1252"), "If it should read 'café,x', the file is Windows-1252"),
    ("a.csv", "q,q\na,b\n", "a.csv:1: column 'q' stands twice"),
    ("a.csv", 'q\n"a"b\n', "this is not CSV"),
    ("a.csv", "q,weight\na,heavy\n", "a.csv:2: weight: must be a number from 0 up, not text"),
    ("a.parquet", "nothing", "a.parquet: this is not a Parquet file"),
    ("a.xlsx", "nothing", ".xlsx is not a kind of dataset. Kinds: .jsonl"),
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        'question;expected\n"hi; you";"a ""b"", c"\n',
        '\ufeffsep=;\r\nquestion;expected\r\n"hi; you";"a ""b"", c"\r\n',
        'question\texpected\nhi; you\t"a ""b"", c"\n',
        '"question"|expected\nhi; you|"a ""b"", c"\n',
    ],
)
def test_the_mark_that_parts_cells_is_the_header_s(project, text):
    (row,) = afere.dataset(write(project, "a.csv", text)).rows
    assert (row.metadata["question"], row.expected) == ("hi; you", 'a "b", c')


@pytest.mark.parametrize(("name", "text", "message"), BROKEN)
def test_broken_files_are_named_with_place_field_and_remedy(project, name, text, message):
    with pytest.raises(BadData) as raised:
        afere.dataset(write(project, name, text))
    assert message in str(raised.value)
    with pytest.raises(NoSuchArtifact):
        afere.open().get("dataset:a")


def test_all_bad_rows_are_counted_and_five_are_shown(project):
    rows = [{"input": {"q": i}, "weight": "x" if i % 2 else 1} for i in range(20)]
    with pytest.raises(BadData) as raised:
        afere.dataset(rows)
    lines = str(raised.value).splitlines()
    assert lines[0] == "the rows given: 10 of 20 rows cannot be used; nothing was kept."
    assert lines[1].startswith("row 2: weight")
    assert lines[-1] == "... and 5 more"
    assert len(lines) == 7


def test_a_missing_file_says_where_it_was_looked_for(project):
    with pytest.raises(BadData, match=r"data/none\.jsonl: there is no such file"):
        afere.dataset("data/none.jsonl")
    with pytest.raises(BadData, match="'none' is neither a file of project"):
        afere.dataset("none")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.fixed_dictionaries(
            {"input": st.dictionaries(st.text("abc", min_size=1), JSON, min_size=1), "expected": JSON}
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_was_kept_reads_back_as_it_was(project, rows):
    made = afere.dataset(rows)
    kept = afere.dataset(made.ref)
    assert kept.rows == made.rows
    assert [row.input for row in kept] == [row["input"] for row in rows]
    assert len({row.id for row in kept}) == len(rows)


NOISE = st.binary(max_size=60) | st.lists(
    st.sampled_from([b'{"input": {"q": 1}}', b'"q"', b"[", b"]", b"{", b"}", b",", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"id", b"1e999", b'""']),
    max_size=12,
).map(b"".join)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=NOISE, suffix=st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".parquet"]))
def test_any_bytes_are_a_dataset_or_an_error_that_names_the_file(tmp_path, data, suffix):
    from afere.data.datasets import _checked
    from afere.data.reading import read_file

    file = tmp_path / f"a{suffix}"
    file.write_bytes(data)
    try:
        rows, lines, _, _ = _checked(read_file(file, file.name), file.name, None, partly=False)
    except BadData as problem:
        assert str(problem).startswith(file.name)
    else:
        assert len(rows) == lines.count(b"\n") > 0


_KEYS = st.sampled_from(["question", "note", "expected", "tags", "id", "a.b"])
_OBJECTS = st.dictionaries(_KEYS, st.none() | st.text(max_size=4) | st.integers(-9, 9), max_size=3)


@given(st.builds(
    Row, st.just("r"), _OBJECTS, st.none() | st.text(max_size=3), st.none() | st.text(max_size=3),
    tags=st.sampled_from([(), ("edge",)]), weight=st.sampled_from([1.0, 0.5]), metadata=_OBJECTS,
))  # fmt: skip
def test_a_row_written_short_is_read_as_the_same_row(row: Row) -> None:
    assert read_row(short(row)) == row


def test_an_exported_dataset_is_read_as_the_same_version_and_short_rows_stay_short(project):
    rows = [
        {"question": "a", "expected": "b", "year": 7},
        {"input": {"question": "c"}, "source": "mail"},
        {"input": {}},
    ]
    made = afere.dataset(rows, name="qa")
    done = CliRunner().invoke(cli, ["dataset", "export", "qa", "data/out.jsonl"])
    assert done.exit_code == 0, done.output
    first = json.loads((project / "data/out.jsonl").read_text().splitlines()[0])
    assert {**first, "id": ""} == {**rows[0], "id": ""}
    assert afere.dataset("data/out.jsonl", name="qa").ref == made.ref == "dataset:qa@1"
