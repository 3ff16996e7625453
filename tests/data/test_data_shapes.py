"""Rows as other tools write them become rows of ours: known by their keys, or told."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import afere
from afere.base.errors import BadData
from afere.data.inspectlog import zipfile
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
    # from here on as the tools' own packages wrote them: MLflow 3.17, DeepEval 4.3, Ragas 0.4, Braintrust 0.48, Inspect 0.3.285
    ({"inputs": {"question": "q0?"}, "outputs": {}, "expectations": {"expected_response": "a0"}, "tags": {"topic": "x"},
      "source_type": "HUMAN", "source_id": None, "dataset_record_id": "dr-0e"},
     "mlflow", {"id": "dr-0e", "input": {"question": "q0?"}, "output": None, "expected": "a0", "metadata": {"tags": {"topic": "x"}}}),
    ({"input": "q0", "actual_output": None, "expected_output": "a0", "retrieval_context": "r1", "context": "c1|c2", "name": "g0",
      "source_file": "f.pdf", "additional_metadata": {"lang": "en"},
      "expected_tools": [{"name": "find", "type": "FUNCTION", "inputParameters": {"q": "x"}}]},
     "deepeval", {"expected": "a0", "metadata": {"lang": "en", "context": ["r1"], "reference_context": ["c1", "c2"],
                                                 "tool_calls": [{"name": "find", "arguments": {"q": "x"}}]}}),
    ({"input": "a", "actualOutput": "o", "expectedOutput": "e", "context": ["c"], "retrievalContext": ["r"], "metadata": {"x": 1},
      "toolsCalled": [{"name": "f", "type": "FUNCTION", "inputParameters": {"a": 1}}], "tags": ["t"],
      "expectedTools": [{"name": "f", "type": "FUNCTION", "inputParameters": None}]},
     "deepeval", {"input": {"input": "a"}, "output": "o", "expected": "e", "tags": ("t",),
                  "metadata": {"x": 1, "context": ["r"], "tool_calls": [{"name": "f"}],
                               "tools_called": [{"name": "f", "arguments": {"a": 1}}]}}),
    ({"turns": [{"role": "user", "content": "hi", "tools_called": None},
                {"role": "assistant", "content": "yes?", "tools_called": [{"name": "find", "type": "FUNCTION", "inputParameters": {"q": "x"}}]}],
      "scenario": None, "flaky": False, "multimodal": False, "voice": False},
     "deepeval-turns", {"input": {"messages": [{"role": "user", "content": "hi"}]}, "output": {"messages": [
         {"role": "user", "content": "hi"},
         {"role": "assistant", "content": "yes?", "tool_calls": [{"name": "find", "type": "FUNCTION", "arguments": {"q": "x"}}]}]}}),
    ({"turns": CHAT, "scenario": "s", "expectedOutcome": "done", "chatbotRole": "clerk"}, "deepeval-turns", {"expected": "done"}),
    ({"user_input": "q", "reference_context_ids": ["d1", 2], "retrieved_context_ids": ["d1", 3]},
     "ragas", {"relevant": ("d1", "2"), "metadata": {"context": ["d1", "3"]}}),
    ({"user_input": [{"content": "hi", "type": "human"}, {"content": "look", "type": "ai", "tool_calls": [{"name": "find", "args": {"q": "x"}}]},
                     {"content": "found", "type": "tool"}, {"content": "there", "type": "ai"}]},
     "ragas", {"output": {"messages": [
         {"role": "user", "content": "hi"}, {"role": "assistant", "content": "look", "tool_calls": [{"name": "find", "arguments": {"q": "x"}}]},
         {"role": "tool", "content": "found"}, {"role": "assistant", "content": "there"}]}}),
    ({"input": [{"id": "jvehx2", "content": "S", "source": None, "role": "system"}, {"id": "UhTMNi", "content": "Hi", "role": "user"}],
      "target": ["x", "y"], "choices": None, "id": None},
     "inspect", {"input": {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]}, "expected": ["x", "y"]}),
    ({"messages": [CHAT[1], {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": "x"}'}}]}]},
     "openai-chat", {"expected": None, "metadata": {"tool_calls": [{"name": "find", "arguments": '{"q": "x"}'}]}}),
    ({"messages": [CHAT[1]], "reference_answer": "At eight."}, "openai-chat", {"expected": "At eight."}),
    ({"input": {"messages": [CHAT[1]], "tools": [1]}, "preferred_output": [CHAT[2]], "non_preferred_output": [{"role": "assistant", "content": "No."}]},
     "openai-preference", {"input": {"messages": [CHAT[1]]}, "expected": "At eight.", "metadata": {"rejected": "No.", "input": {"tools": [1]}}}),
    ({"item": {"question": "q", "ground_truth": "e"}, "sample": {"output_text": "o"}},
     "openai-items", {"input": {"question": "q"}, "expected": "e", "output": "o"}),
    ({"prompt": "q", "completion": "e"}, "openai-completion", {"input": {"input": "q"}, "expected": "e"}),
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


def test_parts_of_a_run_are_no_rows_of_a_braintrust_experiment(project):
    root = {"_xact_id": "1", "input": "q", "output": "o", "expected": "e", "is_root": True, "span_parents": None}
    rows = [root, {**root, "input": "inner", "is_root": False}, {**root, "is_root": None, "span_parents": ["s"]}]
    data = afere.dataset(rows)
    assert [row.input for row in data.rows] == [{"input": "q"}]
    assert str(data.reading).endswith("; 2 left out, being is_root false or with span_parents")


def test_logs_of_inspect_are_rows_with_what_the_model_answered(project):
    def sample(epoch, **more):
        output = {"completion": "attachment://abc", "choices": []}
        return {"id": 1, "epoch": epoch, "input": "2+2?", "target": "4", "choices": ["3", "4"], "output": output, "metadata": {"k": 1},
                "scores": {"match": {"value": "C"}}, "attachments": {"abc": "ANSWER: 4"}, **more}  # fmt: skip

    failed = sample(2, id="b", error={"message": "no server"}, output={"completion": ""})
    (project / "one.json").write_text(json.dumps({"version": 2, "eval": {"task": "t"}, "samples": [sample(1)]}))
    with zipfile.ZipFile(project / "two.eval", "w", zipfile.ZIP_ZSTANDARD) as packed:
        packed.writestr("header.json", "{}")
        for number, one in enumerate([sample(1), sample(2), failed]):
            packed.writestr(f"samples/{number}_epoch_{one['epoch']}.json", json.dumps(one))
    row = afere.dataset("one.json").rows[0]
    assert (row.id, row.output, row.expected, row.group) == ("1", "ANSWER: 4", "4", None)
    assert row.input == {"input": "2+2?", "choices": ["3", "4"]}
    assert row.metadata == {"k": 1, "scores": {"match": {"value": "C"}}}
    rows = afere.dataset("two.eval").rows
    assert [(one.id, one.group, one.output) for one in rows] == [
        ("1-1", "1", "ANSWER: 4"), ("1-2", "1", "ANSWER: 4"), ("b-2", "b", None),
    ]  # fmt: skip
    (project / "half.eval").write_bytes((project / "two.eval").read_bytes()[:200])
    with pytest.raises(BadData, match=r"half\.eval: this is no log of Inspect, or half of one"):
        afere.dataset("half.eval")
    whole, refused = (project / "two.eval").read_bytes(), 0
    for place in range(0, len(whole), 7):
        (project / "bad.eval").write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            afere.dataset("bad.eval")
        except BadData as problem:
            refused += "bad.eval" in str(problem)
    assert refused > 20


def test_tables_of_pandas_and_spreadsheets_are_read(project):
    (project / "p.csv").write_text(",question,expected,tags\n0,a,x,\"['t', 'u']\"\n1,b,y,null\n")
    a, b = afere.dataset("p.csv").rows
    assert (a.metadata, a.expected, a.tags, b.tags) == ({"index": "0", "question": "a"}, "x", ("t", "u"), ())
    (project / "s.csv").write_text("question,expected,,\na,x,,\nb,y,,more\n")
    a, b = afere.dataset("s.csv").rows
    assert (a.metadata, b.metadata) == ({"question": "a"}, {"question": "b", "column 4": "more"})
    (project / "m.csv").write_text("inputs,expectations,tags\n{'q': 'a'},{'expected_response': 'x'},\"{'k': 'a;b'}\"\n")
    row = afere.dataset("m.csv").rows[0]
    assert (row.input, row.expected, row.metadata) == ({"q": "a"}, "x", {"tags": {"k": "a;b"}})
    (project / "u.csv").write_text("question,expected,tags\na,x\nb,y,z,w\n")
    with pytest.raises(
        BadData, match=r"u\.csv:2: 2 cells, but the header has 3; write also the empty ones\.\n.*quote cells that hold"
    ):
        afere.dataset("u.csv")


def test_a_number_that_json_cannot_hold_says_under_which_key_it_stands(project):
    (project / "r.jsonl").write_text('{"input": "a", "spans": [{"start": [1, 1795922582663247614]}]}\n')
    with pytest.raises(BadData, match=r"r\.jsonl:1: start: 1795922582663247614 is too large for a JSON number"):
        afere.dataset("r.jsonl")


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
    # A conversation is kept up to what is to be answered, without ids; the kind of a message is its role.
    assert not lost or any(messages_in(value) for value in said.values())
    assert isinstance(row, dict)


def _leaves(value):
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]
