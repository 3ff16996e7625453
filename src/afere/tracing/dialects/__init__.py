"""What the libraries say of generative AI in their attributes, read into the fields of our spans; the attributes stay as they are.

Each dialect is a file in `maps/`: which attribute holds what. `reader` follows them, `shapes` knows the forms of messages.
"""

from __future__ import annotations

from afere.tracing.dialects.maps import MAPS, Dialect
from afere.tracing.dialects.reader import is_content, read, without_content

__all__ = ["read", "is_content", "without_content", "MAPS", "Dialect"]
