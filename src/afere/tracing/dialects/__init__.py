"""What the libraries say of generative AI in their attributes, read into the fields of our spans; the attributes stay as they are.

Each dialect is a file in `maps/`: which attribute holds what. `reader` follows them, `shapes` knows the forms of messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from afere.tracing.dialects import own
from afere.tracing.dialects.maps import MAPS, Dialect
from afere.tracing.dialects.pauses import pause_above
from afere.tracing.dialects.reader import read, read_lightly
from afere.tracing.dialects.structure import is_content, without_content

if TYPE_CHECKING:
    from afere.base.canonical import Json
    from afere.base.span import Span

__all__ = ["read", "read_lightly", "written", "pause_above", "is_content", "without_content", "MAPS", "Dialect"]


def written(span: Span) -> dict[str, Json]:
    """The attributes that say what the span's fields hold and its own attributes do not: GenAI convention, else `afere.*`."""
    return own.attributes(span, span.attributes, read)
