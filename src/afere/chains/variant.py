"""Another model, other parameters or another prompt in the place of components' own, for as long as a block runs.

A replay swaps whole components; a bake-off keeps the component and varies what it calls with. What is varied goes before
all that the code, the prompt file and `afere.yaml` say.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry import context as otel

from afere.base.canonical import Json
from afere.base.errors import Refused
from afere.tracing.scope import holding

if TYPE_CHECKING:
    from afere.chains.prompt import Prompt

_VARIANT = otel.create_key("afere-variant")
_AS_IS = object()


@dataclass(eq=False)
class Variant:
    """The model, parameters and number of chosen `examples` of the `components` of these names, and the `prompts` of others
    or the same by name.

    A parameter that is None is not sent. `called` is whether any of them was.
    """

    components: Collection[str]
    model: str | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    prompts: Mapping[str, Prompt] = field(default_factory=dict[str, "Prompt"])
    examples: int | None = None
    called: bool = field(default=False, init=False)


class _here:
    """The variant of this process, for threads that the user's code began without the context of its caller."""

    lock = threading.Lock()
    variant: Variant | None = None


@contextmanager
def varying(variant: Variant) -> Generator[None]:
    """Let components be varied inside, in every thread of this process. Refused while another block varies them."""
    with _here.lock:
        if _here.variant is not None:
            raise Refused(
                "A bake-off or sweep is running in this process already. Wait for it, or use another process."
            )
        _here.variant = variant
    try:
        with holding(_VARIANT, variant):
            yield
    finally:
        _here.variant = None


def with_nothing_varied(context: otel.Context) -> otel.Context:
    """The context, in which nothing is varied: scorers judge all variants alike."""
    return otel.set_value(_VARIANT, _AS_IS, context)


def variant(context: otel.Context | None = None) -> Variant | None:
    """What is varied here."""
    found = otel.get_value(_VARIANT, context)
    if found is None:
        return _here.variant
    return found if isinstance(found, Variant) else None


def variant_of(name: str, context: otel.Context | None = None) -> Variant | None:
    """What is varied of the component of that name; `context` is that of here, where it is known."""
    found = variant(context)
    return found if found is not None and (name in found.components or name in found.prompts) else None
