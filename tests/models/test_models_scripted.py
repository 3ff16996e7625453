"""The scripted model that ships for users' tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afere.base.errors import ModelFailed, ModelTimedOut, ModelUnreachable
from afere.base.message import Usage, message
from afere.base.steps import drive
from afere.models import Reply, Request, Settings, ask, resolve
from afere.testing import Answer, Fault, ScriptedModel


def said(model: ScriptedModel, text: str = "Hello?") -> Reply:
    return drive(ask(model, Request((message("user", text),))))


def test_it_answers_by_piece_in_order_or_by_function_and_is_found_by_name(project: Path) -> None:
    model = ScriptedModel("guide", {"France": "Paris.", "": {"city": "unknown"}})
    assert resolve("scripted:guide") is model
    assert said(model, "Capital of France?").text == "Paris."
    assert json.loads(said(model).text) == {"city": "unknown"}
    model.says(["one", Answer("two", calls=[("look", {"at": 2})], usage=Usage(5, 6))])
    assert said(model).text == "one"
    second = said(model)
    assert (second.calls[0].arguments, second.finish, second.usage) == ({"at": 2}, "tool_calls", Usage(5, 6))
    with pytest.raises(ModelFailed, match="all of its 2 answers"):
        said(model)
    model.says(lambda request: request.messages[-1].text[::-1])
    assert said(model, "abc").text == "cba"
    assert len(model.requests) == 6


def test_it_fails_as_real_ones_do(project: Path) -> None:
    kinds = {
        "status": ModelFailed,
        "hang": ModelTimedOut,
        "half": ModelFailed,
        "garbage": ModelFailed,
        "unreachable": ModelUnreachable,
    }
    for kind, error in kinds.items():
        with pytest.raises(error):
            said(ScriptedModel("broken", Fault(kind)))
    patient = ScriptedModel(
        "patient", [Fault("half"), Fault("status", retry_after=0.0), "Well."], settings=Settings(retries=2)
    )
    assert said(patient).attempts == 3


def test_what_is_not_scripted_says_so(project: Path) -> None:
    with pytest.raises(ModelUnreachable, match=r"ScriptedModel\('nobody'"):
        resolve("scripted:nobody")
    with pytest.raises(ModelFailed, match="It knows: 'France'"):
        said(ScriptedModel("narrow", {"France": "Paris."}), "Germany?")
