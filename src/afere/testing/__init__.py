"""What tests of applications need: a scripted model, a real HTTP server that speaks the OpenAI protocol, a fixture `gate`.

Names are imported when first used: every pytest of an environment that has afere loads `afere.testing.plugin`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from afere.testing.openai_server import Asked as Asked
    from afere.testing.openai_server import OpenAIServer as OpenAIServer
    from afere.testing.scripted import Answer as Answer
    from afere.testing.scripted import Fault as Fault
    from afere.testing.scripted import ScriptedModel as ScriptedModel

_WHERE = {
    "Answer": "afere.testing.scripted", "Asked": "afere.testing.openai_server", "Fault": "afere.testing.scripted",
    "OpenAIServer": "afere.testing.openai_server", "ScriptedModel": "afere.testing.scripted",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
