"""Rows as other tools write them become rows of ours: known by their keys, or told."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afere
from afere.base.errors import BadData
from afere.data.rows import RowProblem
from afere.data.shapes import OWN, messages_in, shaped, shapes

CHAT = [
    {"role": "system", "content": "Be short."}, {"role": "user", "content": "When?"}, {"role": "assistant", "content": "At eight."},
    {"role": "user", "content": "And on Friday?"}, {"role": "assistant", "content": "At nine."},
]  # fmt: skip
# the row as its tool writes it, the shape, and what it says here
ROWS = [
    ({"inputs": {"question": "q"}, "outputs": "o", "expectations": {"expected_response": "e", "guidelines": ["g"]}, "tags": {"k": "v"}},
     "mlflow", {"input": {"question": "q"}, "output": "o", "expected": "e",
                "metadata": {"tags": {"k": "v"}, "expectations": {"guidelines": ["g"]}}}),
    ({"inputs": {"question": "q"}, "expectations": {"expected_retrieved_context": [{"doc_uri": "a.md"}, {"doc_uri": "b.md"}], "x": 1}},
     "mlflow", {"relevant": ("a.md", "b.md"), "expected": {"expected_retrieved_context": [{"doc_uri": "a.md"}, {"doc_uri": "b.md"}], "x": 1}}),
    ({"id": "i-1", "datasetId": "d", "input": {"q": 1}, "expectedOutput": {"a": 2}, "metadata": {"m": 3}, "status": "ACTIVE"},
     "langfuse", {"id": "i-1", "input": {"q": 1}, "expected": {"a": 2}, "metadata": {"m": 3, "datasetId": "d", "status": "ACTIVE"}}),
    ({"id": "x", "dataset_id": "d", "inputs": {"q": 1}, "outputs": {"answer": "e"}, "metadata": {"dataset_split": ["test"]}},
     "langsmith", {"id": "x", "input": {"q": 1}, "output": None, "expected": "e", "split": "test"}),
    ({"id": "x", "_xact_id": "1", "input": "q", "expected": "e", "tags": ["t"], "metadata": {"m": 1}, "root_span_id": "r"},
     "braintrust", {"id": "x", "input": {"input": "q"}, "expected": "e", "tags": ("t",)}),
    ({"input": "q", "actual_output": "o", "expected_output": "e", "retrieval_context": ["c"], "context": ["ideal"],
      "expected_tools": [{"name": "search", "input_parameters": {"q": "x"}}]},
     "deepeval", {"input": {"input": "q"}, "output": "o", "expected": "e",
                  "metadata": {"context": ["c"], "reference_context": ["ideal"],
                               "tool_calls": [{"name": "search", "arguments": {"q": "x"}}]}}),
    ({"scenario": "s", "expected_outcome": "booked", "turns": CHAT},
     "deepeval-turns", {"input": {"messages": CHAT[:4]}, "output": {"messages": CHAT}, "expected": "booked"}),
    ({"user_input": "q", "response": "o", "reference": "e", "retrieved_contexts": ["c"], "reference_contexts": ["r"]},
     "ragas", {"input": {"input": "q"}, "output": "o", "expected": "e", "metadata": {"context": ["c"], "reference_context": ["r"]}}),
    ({"user_input": [{"type": "human", "content": "hi"}, {"type": "ai", "content": "yes?"}, {"type": "human", "content": "bye"}],
      "reference_tool_calls": [{"name": "end", "args": {}}]},
     "ragas", {"input": {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes?"},
                                       {"role": "user", "content": "bye"}]},
               "metadata": {"tool_calls": [{"name": "end", "arguments": {}}]}}),
    ({"question": "q", "answer": "o", "contexts": ["c"], "ground_truth": "e"},
     "ragas-old", {"input": {"input": "q"}, "output": "o", "expected": "e", "metadata": {"context": ["c"]}}),
    ({"input": "2 + 2?", "choices": ["3", "4"], "target": "B", "metadata": {"level": 1}, "id": 7},
     "inspect", {"id": "7", "input": {"input": "2 + 2?", "choices": ["3", "4"]}, "expected": "B", "metadata": {"level": 1}}),
    ({"input": [{"role": "user", "content": "hi"}], "ideal": "hello"},
     "openai-evals", {"input": {"messages": [{"role": "user", "content": "hi"}]}, "expected": "hello"}),
    ({"messages": CHAT, "tools": [{"type": "function"}]},
     "openai-chat", {"input": {"messages": CHAT[:4]}, "expected": ["At eight.", "At nine."], "metadata": {"tools": [{"type": "function"}]}}),
    ({"messages": CHAT[:3]}, "openai-chat", {"input": {"messages": CHAT[:2]}, "expected": "At eight."}),
]  # fmt: skip


@pytest.mark.parametrize(("said", "shape", "row"), ROWS, ids=[f"{i}-{name}" for i, (_, name, _) in enumerate(ROWS)])
def test_rows_of_other_tools_are_known_by_their_keys(project, said, shape, row):
    (project / "rows.jsonl").write_text(json.dumps(said) + "\n")
    data = afere.dataset("rows.jsonl")
    assert data.reading is not None
    assert data.reading.shape.name == shape
    assert str(data.reading).startswith(f"read as {shapes()[shape].title} rows: ")
    for name, value in row.items():
        there = getattr(data.rows[0], name)
        assert value.items() <= there.items() if name == "metadata" else there == value, name
    assert afere.dataset([said], name="rows", shape=shape).hash == data.hash
    own = afere.dataset([data.rows[0]], name="rows")
    assert own.hash == data.hash  # rows of ours stay what they are


def test_every_shape_is_tried():
    assert {name for _, name, _ in ROWS} == set(shapes())


def test_rows_of_ours_stay_ours(project):
    for row in (
        {"input": {"q": 1}, "expected": "a", "target": "loose"}, {"question": "a", "expected": "b"}, {"input": "a", "output": "b"},
        {"messages": [{"role": "user", "content": "a"}], "expected": "b"}, {"question": "a", "answer": "b"},
    ):  # fmt: skip
        assert afere.dataset([row]).reading is None
    assert afere.dataset([{"input": "a", "target": "b"}], shape=OWN).rows[0].metadata == {"target": "b"}


def test_keys_with_two_meanings_are_asked_about(project):
    rows = [{"inputs": {"q": "a"}, "outputs": {"answer": "b"}}]
    with pytest.raises(
        BadData, match=r"could be of MLflow or of LangSmith\. Say which: shape: mlflow .*; shape: langsmith"
    ):
        afere.dataset(rows)
    assert afere.dataset(rows, shape="mlflow").rows[0].output == "b"
    assert afere.dataset(rows, shape="langsmith").rows[0].expected == "b"
    mine = afere.dataset(rows, shape={"input": "inputs", "expected": "outputs.answer"})
    assert mine.rows[0].expected == "b"
    with pytest.raises(BadData, match=r"no shape called 'raggas'\. Did you mean 'ragas'\?"):
        afere.dataset(rows, shape="raggas")
    with pytest.raises(BadData, match="'expcted' is no field of a row"):
        afere.dataset(rows, shape={"expcted": "outputs"})


def test_a_row_that_does_not_fit_says_its_line_and_what_it_lacks(project):
    (project / "r.jsonl").write_text('{"user_input": "a", "reference": "b"}\n{"response": "c", "reference": "d"}\n')
    with pytest.raises(BadData, match=r"r\.jsonl:2: user_input: missing in a Ragas row; it has: response, reference"):
        afere.dataset("r.jsonl")
    with pytest.raises(BadData, match="shape: afere"):
        afere.dataset("r.jsonl")


def test_cells_hold_lists_as_json_or_as_python_prints_them(project):
    (project / "r.csv").write_text(
        'user_input,retrieved_contexts,reference\na,"[\'x\', \'it\'\'s\']",b\nc,"[""y""]",d\ne,[open,f\n'
    )
    a, c, e = afere.dataset("r.csv").rows
    assert (a.metadata["context"], c.metadata["context"], e.metadata["context"]) == (["x", "its"], ["y"], "[open")


def test_archived_items_of_langfuse_are_left_out_and_counted(project):
    rows = [{"input": "a", "expectedOutput": "b", "status": status} for status in ("ACTIVE", "ARCHIVED", "ARCHIVED")]
    data = afere.dataset(rows)
    assert len(data) == 1
    assert str(data.reading).endswith("; 2 left out, being status ARCHIVED")


KEYS = sorted(
    {key for shape in shapes().values() for key in shape.keys} | {"id", "metadata", "tags", "expected", "free"}
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS[:6], "role", "content", "name"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), st.sampled_from([None, *shapes()]))
def test_any_row_is_read_or_named_and_nothing_it_says_is_lost(said, told):
    try:
        rows, _ = shaped([("row 1", said)], "rows", told)
        (_, row), *_ = [*rows, ("", RowProblem("left out"))]
    except BadData as problem:
        assert re.search("Say which", str(problem))
        return
    if isinstance(row, RowProblem):
        return
    texts = {one for one in _leaves(said) if isinstance(one, str) and one}
    kept = " ".join(str(one) for one in _leaves(row))
    lost = [one for one in texts if one not in kept]
    # A conversation is kept up to what is to be answered; the kind of a message is its role.
    assert not lost or any(messages_in(value) for value in said.values())
    assert isinstance(row, dict)


def _leaves(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]
