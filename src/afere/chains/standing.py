"""What holds around the calls of components: files that stand still for one run, and others in their place."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast

from opentelemetry import context as otel

from afere.chains.variant import Variant, variant
from afere.tracing.scope import holding

if TYPE_CHECKING:
    from afere.chains.component import Component

_SWAPPED = otel.create_key("afere-swapped-components")
_STILL = otel.create_key("afere-files-stand-still")
_NONE: Mapping[str, Component] = {}


def still() -> AbstractContextManager[None]:
    """Inside, prompt files and references are looked at once: what is measured stays the same from first to last."""
    return holding(_STILL, object())


def stillness(context: otel.Context | None = None) -> object:
    """What is the same in one `still` block, and None outside; `context` is that of here, where it is known."""
    return otel.get_value(_STILL, context)


def swapped(context: otel.Context | None = None) -> Mapping[str, Component]:
    """The components that a replay put in the place of others here."""
    return cast("Mapping[str, Component]", otel.get_value(_SWAPPED, context) or _NONE)


def in_place() -> tuple[Mapping[str, Component], Variant | None]:
    """What stands in the place of components' own here: others, or what they call with. Equal while it is the same."""
    return swapped(), variant()


def swapping(components: Mapping[str, Component]) -> AbstractContextManager[None]:
    """Let the components of these names be others inside: their prompt, and its model where it names one."""
    return holding(_SWAPPED, components)
