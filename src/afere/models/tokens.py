"""How many tokens a text has: exactly where the model is at hand, else an honest estimate."""

from __future__ import annotations

import re

# The pieces that byte-pair tokenizers of today's models do not merge across.
_PIECES = re.compile(r"(?P<word>[^\W\d_]+)|(?P<digits>\d+)|(?P<line>\n+)|(?P<sign>[^\w\s]+|_+)")
_LETTERS_OF_WORD = 7  # an English word of up to so many letters is mostly one token


def count_tokens(text: str, model: str = "") -> int:
    """How many tokens `model` makes of the text.

    Exact for `local` while it is loaded. For others an estimate: a token for each word and one more for each 7 letters
    it has beyond the first 7 (3 where it has letters beyond ASCII), for each 3 digits, each 2 signs and each break of line; one for
    each character of scripts without spaces. For what was really used, read the usage of the reply.
    """
    if model == "local" or model.startswith("local:"):
        from afere.models.local import count_tokens as counted

        exact = counted(text)
        if exact is not None:
            return exact
    return sum(_tokens(match) for match in _PIECES.finditer(text))


def _tokens(match: re.Match[str]) -> int:
    piece, size = match.group(), len(match.group())
    if match["digits"]:
        return -(-size // 3)
    if match["sign"]:
        return -(-size // 2)
    if match["line"]:
        return 1
    if piece.isascii():
        return -(-size // _LETTERS_OF_WORD)
    if any(ord(letter) >= 0x2E80 for letter in piece):  # Chinese, Japanese, Korean
        return size
    return -(-size // 3)
