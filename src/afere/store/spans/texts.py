"""The texts of a span that can be searched, and their words. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, cast

_BETWEEN = "\n\ue000\n".encode()  # a word that nobody writes: no phrase goes on from one text to the next
INDEXED = 100_000  # characters of one span's input or output that can be searched
_WORD = re.compile(r"[^\W_]+")


def strings(details: Mapping[str, Any]) -> list[str]:
    """What of a span can be searched: all texts in its input and its output."""
    given = details.get("input", details.get("input_messages"))
    made = details.get("output", details.get("output_messages", details.get("documents")))
    return [*strings_in(given), *strings_in(made)]


def joined(spans: Iterable[Iterable[str]]) -> bytes:
    """The text of a document (in UTF-8), of the texts of its spans: what several repeat stands in it once."""
    # As bytes: with the word between them, SQLite would be given each letter in two.
    return _BETWEEN.join([text.encode("utf-8", "replace") for text in dict.fromkeys(chain.from_iterable(spans))])


def strings_in(value: Any) -> list[str]:
    """All texts in a value, up to some length."""
    if value is None:
        return []
    if isinstance(value, str) and len(value) <= INDEXED:
        return [value]
    found: list[str] = []
    with suppress(RecursionError):
        _walk((value,), found)
        if sum(map(len, found)) <= INDEXED:
            return found
    return _cut(value)


def _walk(values: Iterable[Any], found: list[str]) -> None:
    for value in values:
        if type(value) is str or isinstance(value, str):
            found.append(value)
        elif isinstance(value, dict):
            _walk(cast("dict[str, Any]", value).values(), found)
        elif isinstance(value, list):
            _walk(cast("list[Any]", value), found)


def _cut(value: Any) -> list[str]:
    """The same of what is long, or deep."""
    found: list[str] = []
    room = INDEXED
    stack = [value]
    while stack and room > 0:
        item = stack.pop()
        if isinstance(item, str):
            found.append(item[:room])
            room -= len(item)
        elif isinstance(item, dict):
            stack.extend(reversed(cast("dict[str, Any]", item).values()))
        elif isinstance(item, list):
            stack.extend(reversed(cast("list[Any]", item)))
    return found


def says(texts: Iterable[str], wanted: Sequence[str], *, prefix: bool) -> bool:
    """Whether any of the texts says these words, one after another; with prefix=True the last may go on."""
    *first, last = wanted
    for text in texts:
        said = tokens(text)
        for at in range(len(said) - len(first)):
            end = said[at + len(first)]
            if said[at : at + len(first)] == first and (end.startswith(last) if prefix else end == last):
                return True
    return False


def tokens(text: str) -> list[str]:
    """The words of a text as the index takes them: letters and digits, small, without accents."""
    if not text.isascii():
        text = "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))
    return _WORD.findall(text.lower())
