"""System prompts that only traces show, as other tools bring them: who sent which text since when, as prompts with versions.

What changes from call to call (a date, a number, an address, a name) is a value that was filled in and no new version.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.govern.prompts import PromptText, PromptVersion

if TYPE_CHECKING:
    from afere.base.span import Span
    from afere.govern.debt.facts import Ran

_VALUE = "{{ value }}"
_MONTH = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|janeiro|fevereiro|março|abril|maio|"
    r"junho|julho|agosto|setembro|outubro|novembro|dezembro|enero|febrero|marzo|mayo|junio|julio|septiembre|octubre|noviembre|"
    r"diciembre)"
)
_VARIES = re.compile(
    r"[\w.+-]+@[\w-]+\.[\w.-]+|\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    rf"|\d{{1,2}}(?:st|nd|rd|th|º)?\s(?:of\s|de\s)?{_MONTH}\b(?:,?\s(?:de\s)?\d{{4}})?|\b{_MONTH}\s\d{{1,2}}\b(?:,?\s\d{{4}})?"
    r"|\d+(?:[.,:/T-]\d+)*Z?",
    re.IGNORECASE,
)
_FILLED = 3  # values at one place from which on it is filled in, and not edited
_WORDS = 4  # words of a text that may be filled in so
_SHORTEST = 40  # characters of a text that is a prompt
_LONGEST = 200_000
_MOST = 2_000  # different texts, once what varies is taken out; later ones are not told apart
_READ = 5_000  # texts in which values are looked for, at about 1 ms each
_EACH = 100  # of one caller
_CALLERS = 200  # those with the most calls
_COUNTED = 100_000  # texts that were left out and are counted apart
_MIXED = 5  # different texts from which on a caller fills in more than values, such as documents
_SHARED = 0.8  # of the texts of such a caller have a line that is part of its prompt


@dataclass(slots=True)
class _Text:
    """A text as it was first sent, with the values in it (numbers, dates, addresses), and which of these ever were others."""

    raw: str
    values: list[str]
    varies: set[int] = field(default_factory=set[int])

    def look(self, text: str) -> None:
        """Note which values another text, alike but for its values, has that this one has not."""
        for number, (own, other) in enumerate(zip(self.values, _VARIES.findall(text), strict=False)):
            if own != other:
                self.varies.add(number)

    def text(self, varies: set[int]) -> str:
        numbers = count()
        return _VARIES.sub(lambda found: _VALUE if next(numbers) in varies else found[0], self.raw)


@dataclass
class Seen:
    """Collects the system texts of model calls that name no prompt."""

    _known: dict[int, str] = field(default_factory=dict[int, str])  # hash of a raw text: what it is without values
    _texts: dict[str, _Text] = field(default_factory=dict[str, _Text])
    _calls: list[tuple[Ran, str]] = field(default_factory=list["tuple[Ran, str]"])
    _left: set[int] = field(default_factory=set[int])  # hashes of texts that were left out
    _left_calls: int = 0

    def left_out(self) -> Iterator[str]:
        """In a sentence, how many texts were not looked at; nothing where that is none."""
        if self._left:
            more = "more than " if len(self._left) >= _COUNTED else ""
            yield (
                f"traces: {more}{len(self._left):,} different system prompts of {self._left_calls:,} model calls were not looked at: {_READ:,} "
                f"texts are read, and {_MOST:,} told apart. Text that is filled in makes each call another one: name the prompt on "
                "the call (gen_ai.prompt.name), or send what varies in a message of its own."
            )

    def _leave(self, text: str) -> None:
        self._left_calls += 1
        if len(self._left) < _COUNTED:
            self._left.add(hash(text))

    def look(self, span: Span, ran: Ran) -> None:
        """Note what a model call was told, if it names no prompt."""
        if ran.kind != "llm" or ran.prompts:
            return
        text = _system(span.input_messages)
        if not _SHORTEST <= len(text) <= _LONGEST:
            return
        key = self._known.get(hash(text))
        new = key is None
        if key is None:
            if len(self._known) >= _READ:
                self._leave(text)
                return
            key = self._known[hash(text)] = _VARIES.sub(_VALUE, text)
        known = self._texts.get(key)
        if known is None:
            if len(self._texts) >= _MOST:
                self._leave(text)
                return
            known = self._texts[key] = _Text(text, _VARIES.findall(text))
        if new and known.raw != text:
            known.look(text)
        self._calls.append((ran, key))

    def prompts(self, spans: Sequence[Ran], taken: set[str]) -> Iterator[PromptText]:
        """A prompt for each caller, its versions by the day they were first sent. The calls then name it."""
        names = {(span.trace, span.id): span.agent or span.name for span in spans}
        callers: dict[str, list[tuple[Ran, str]]] = {}
        for ran, key in self._calls:
            caller = ran.agent or names.get((ran.trace, ran.parent or ""), "") or ran.name
            callers.setdefault(caller, []).append((ran, key))
        most = sorted(callers.items(), key=lambda one: (-len(one[1]), one[0]))[:_CALLERS]
        for caller, calls in sorted(most):
            name = caller if caller not in taken else f"{caller} (traces)"
            yield self._prompt(name, sorted(calls, key=lambda call: call[0].start))

    def _prompt(self, name: str, calls: Sequence[tuple[Ran, str]]) -> PromptText:
        first: dict[str, Ran] = {}
        for ran, key in calls:
            ran.prompts = (name,)
            if key in first or len(first) < _EACH:
                first.setdefault(key, ran)
        versions: list[PromptVersion] = []
        told = list(_told({key: self._texts[key] for key in first}, first))
        if len(told) >= _MIXED and 4 * len(told) > len(calls):
            told = [(_shared([text for text, _ in told]), told[0][1])]
        for text, ran in told:
            versions.append(PromptVersion(len(versions) + 1, ran.day, "traces", text, ran.trace))
        model = calls[-1][0].model
        return PromptText(name, versions[-1].text, None, model=model, versions=tuple(versions), seen=True)


def _told(texts: dict[str, _Text], first: dict[str, Ran]) -> Iterator[tuple[str, Ran]]:
    """Each different text with the call that first sent it; texts that differ in a few filled-in words are one."""
    families: list[list[str]] = []
    cut = {key: key.split(" ") for key in texts}
    for key in texts:
        near = next((family for family in families if _near(cut[family[0]], cut[key])), None)
        if near is None:
            families.append([key])
        else:
            near.append(key)
    for family in families:
        if len(family) < _FILLED:
            yield from ((texts[key].text(texts[key].varies), first[key]) for key in family)
            continue
        head = texts[family[0]]
        for key in family:
            head.look(texts[key].raw)
            head.varies |= texts[key].varies
        columns = zip(*(texts[key].text(head.varies).split(" ") for key in family), strict=False)
        yield " ".join(words[0] if len(set(words)) == 1 else _VALUE for words in columns), first[family[0]]


def _shared(texts: Sequence[str]) -> str:
    """The lines that most of the texts have, in the order of the first; what stands between them is filled in."""
    counts = Counter(line for text in texts for line in set(text.split("\n")))
    return "\n".join(line for line in texts[0].split("\n") if counts[line] >= _SHARED * len(texts))


def _near(one: Sequence[str], other: Sequence[str]) -> bool:
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) <= _WORDS


def _system(messages: Sequence[Json]) -> str:
    """What the system and developer messages at the beginning say."""
    said: list[str] = []
    for one in messages:
        message = cast("dict[str, Json]", one) if isinstance(one, dict) else {}
        if message.get("role") not in ("system", "developer"):
            break
        said.append(str(message.get("text") or ""))
    return "\n\n".join(said).strip()
