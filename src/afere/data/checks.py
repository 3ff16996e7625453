"""What is wrong with the rows of a dataset: said twice, leaking, contradicting, personal, empty, said by nobody, or not like the others."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, cast

from afere.base.canonical import Json, canonical, digest_of
from afere.base.detect import KINDS, detect, possible
from afere.base.language import language_of
from afere.data.alike import Join, Pair, fields_of, normal
from afere.data.rows import Row
from afere.data.shapes import ROLES

State = Literal["pass", "note", "warning", "error", "none"]  # none: there is nothing to check

MOST = 1000  # items of one check that are kept; all are counted
_MAIN, _FEW = 0.8, 0.05  # the share of the rows' main language, and the one under which another is an outlier
_LANGUAGE_WORDS = 8  # words from which the language of a text is told reliably
_FENCE = 3.0  # quartile distances from which a length is far out (Tukey 1977), of the logarithms, which lengths are normal in
_FENCE_ROWS = 20  # rows from which quartiles say something
_EXPECTED = 0.9  # the share of rows with an expected answer from which the others look forgotten
_VERBATIM = 5  # words from which a text is recognised in a document
ASKED = 3  # words from which a text is a sign that an example was taken from an evaluation
_SHAPES = 50  # sets of fields that rows have, the most frequent ones
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing found: which rows, how alike (None: not a matter of likeness), what it is, and where else."""

    rows: tuple[str, ...]
    says: str
    alike: float | None = None
    place: str | None = None

    def to_json(self) -> dict[str, Json]:
        alike = None if self.alike is None else round(self.alike, 3)
        return {"rows": list(self.rows), "alike": alike, "says": self.says, "place": self.place}


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its state, what it found in a sentence, the first items (all are counted), and what to do next."""

    rule: str
    title: str
    state: State
    says: str
    action: str = ""
    items: tuple[Item, ...] = ()
    count: int = 0

    def to_json(self) -> dict[str, Json]:
        return {
            "rule": self.rule, "title": self.title, "state": self.state, "says": self.says, "action": self.action, "count": self.count,
            "items": [one.to_json() for one in self.items],
        }  # fmt: skip


def check_from_json(said: Mapping[str, Any]) -> Check:
    """The check that `Check.to_json` wrote."""
    items = tuple(Item(tuple(one["rows"]), one["says"], one["alike"], one["place"]) for one in said["items"])
    texts = (said["rule"], said["title"], said["state"], said["says"], said["action"])
    return Check(*texts, items, said["count"])


@dataclass(frozen=True, slots=True)
class Shown:
    """What a prompt shows the model, an example's input or the text of a snippet, and where: `prompts/answer.md example 2`.

    `field` is where its file says so: `examples`, `snippets.terms`.
    """

    place: str
    input: Json
    field: str = "examples"


def check_rows(
    rows: Sequence[Row], *, examples: Sequence[Shown] = (), documents: Iterable[tuple[str, str]] = ()
) -> list[Check]:
    """All checks of these rows, in the order of what spoils an evaluation most.

    `examples` are what prompts show the model; `documents` are (place, text) of what is searched. A row is compared with
    those that share a rare piece with it, at most the 40 that look nearest.
    """
    texts, shown, pairs, skipped = _joined(rows, examples)
    alike = [pair for pair in pairs if pair.second < len(rows)]
    same = _same(texts)
    return [
        _conflicts(rows, same), _leakage(rows, same, alike), _groups(rows),
        _examples(rows, examples, _held(rows, texts, shown, pairs)), _index(rows, documents), _empty(rows), _roles(rows),
        _duplicates(rows, same), _near(rows, alike, skipped), _personal(rows), _language(rows), _length(rows),
    ]  # fmt: skip


def contamination(rows: Sequence[Row], examples: Sequence[Shown]) -> list[Item]:
    """Which rows prompts show the model, the same or nearly, or word for word within a text: the check `examples`, alone."""
    if not rows or not examples:
        return []
    texts, shown, pairs, _ = _joined(rows, examples)
    return _held(rows, texts, shown, pairs)


Placed = Sequence[tuple[Shown, Mapping[str, str]]]  # what is shown, as rows would write it


def _joined(rows: Sequence[Row], examples: Sequence[Shown]) -> tuple[list[dict[str, str]], Placed, list[Pair], int]:
    """(the rows as texts, what is shown likewise, the pairs that are alike, how many had too many candidates)."""
    texts = [fields_of(row.input or row.metadata) for row in rows]
    shapes = [shape for shape, _ in Counter(tuple(one) for one in texts).most_common(_SHAPES)]
    shown = [(one, fields) for one in examples for fields in _as_fields(one.input, shapes)]
    join = Join([*texts, *(fields for _, fields in shown)])
    pairs = sorted(join.pairs(), key=lambda pair: (-pair.alike, pair.first, pair.second))
    return texts, shown, pairs, join.skipped


def _as_fields(value: Json, shapes: Sequence[tuple[str, ...]]) -> Iterator[dict[str, str]]:
    """An example's input as rows of each shape would write it: a text is the only field that they have, and of an example
    with more fields those that they have."""
    fields = {"": normal(value)} if isinstance(value, str) else fields_of(value)
    for shape in shapes:
        if shape and fields.keys() >= set(shape):
            yield {name: fields[name] for name in shape}
        elif len(shape) == 1:
            whole = isinstance(value, str)
            yield from ({shape[0]: text} for text in fields.values() if whole or len(text.split()) >= ASKED)


def _same(texts: Sequence[Mapping[str, str]]) -> list[list[int]]:
    """Places of rows whose input is the same once normalised."""
    found: defaultdict[tuple[tuple[str, str], ...], list[int]] = defaultdict(list)
    for at, value in enumerate(texts):
        if any(value.values()):
            found[tuple(value.items())].append(at)
    return [places for places in found.values() if len(places) > 1]


def _made(
    rule: str, title: str, worst: State, items: Iterable[Item], fine: str, say: Callable[[int], str], action: str
) -> Check:
    every = list(items)
    if not every:
        return Check(rule, title, "pass", fine)
    return Check(rule, title, worst, say(len(every)), action, tuple(every[:MOST]), len(every))


def _many(count: int, one: str, more: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def _conflicts(rows: Sequence[Row], same: Sequence[Sequence[int]]) -> Check:
    def items() -> Iterator[Item]:
        for places in same:
            by_output: defaultdict[str, list[int]] = defaultdict(list)  # what is expected may be of a row's own output
            for at in places:
                if rows[at].expected is not None:
                    by_output[digest_of(rows[at].output)].append(at)
            for found in by_output.values():
                answers = {_answer(rows[at].expected) for at in found}
                if len(answers) > 1:
                    ids = tuple(rows[at].id for at in found)
                    yield Item(ids, f"the same input with {len(answers)} different expected answers", 1.0)

    return _made(
        "conflict", "Answers agree", "error", items(), "no input has two different expected answers",
        lambda n: f"{_many(n, 'input')} with different expected answers", "keep the right answer of each, and remove the other row",
    )  # fmt: skip


def _answer(value: Json) -> str:
    return normal(value) if isinstance(value, str) else canonical(value).decode()


def _leakage(rows: Sequence[Row], same: Sequence[Sequence[int]], alike: Sequence[Pair]) -> Check:
    if len({row.split for row in rows if row.split}) < 2:
        return Check("leakage", "Splits do not leak", "none", "the rows are not split, or all in one split")

    def items() -> Iterator[Item]:
        for places in same:
            splits = sorted({rows[at].split or "" for at in places} - {""})
            if len(splits) > 1:
                yield Item(tuple(rows[at].id for at in places), f"the same input in {' and '.join(splits)}", 1.0)
        for pair in alike:
            a, b = rows[pair.first], rows[pair.second]
            if a.split and b.split and a.split != b.split:
                yield Item((a.id, b.id), f"{pair.alike:.2f} alike, in {a.split} and {b.split}", pair.alike)

    found = list(items())
    worst: State = "error" if any(one.alike == 1.0 for one in found) else "warning"
    return _made(
        "leakage", "Splits do not leak", worst, found, "no input is in two splits, nor nearly",
        lambda n: f"{_many(n, 'input')} in two splits, the same or nearly: what was learnt from is asked again",
        "put each in one split: keep the test's, and take it out of the others",
    )  # fmt: skip


def _groups(rows: Sequence[Row]) -> Check:
    held: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if row.group and row.split:
            held.setdefault(row.group, {}).setdefault(row.split, []).append(row.id)
    if not held:
        return Check("group-leakage", "Groups stay together", "none", "no row has a group and a split")
    items = (
        Item(
            tuple(id_ for ids in splits.values() for id_ in ids), f"group {group} is in {' and '.join(sorted(splits))}"
        )
        for group, splits in held.items()
        if len(splits) > 1
    )
    return _made(
        "group-leakage", "Groups stay together", "warning", items, "each group is in one split",
        lambda n: f"{_many(n, 'group')} in several splits", "split by group: rows of one session or document share their luck",
    )  # fmt: skip


def _held(
    rows: Sequence[Row], texts: Sequence[Mapping[str, str]], shown: Placed, pairs: Sequence[Pair]
) -> list[Item]:  # fmt: skip
    """The rows that are shown: the same, nearly, or word for word within a text. Each with each place once."""
    where: defaultdict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for row, value in zip(rows, texts, strict=True):
        where[tuple(value.items())].append(row.id)
    found: list[Item] = []
    for one, value in shown:
        if any(value.values()) and (ids := where.get(tuple(value.items()))):
            found.append(Item(tuple(ids), f"is also {one.place}", 1.0, one.place))
    for pair in pairs:
        if pair.first < len(rows) <= pair.second:
            place = shown[pair.second - len(rows)][0].place
            found.append(Item((rows[pair.first].id,), f"{pair.alike:.2f} alike to {place}", pair.alike, place))
    whole = {one.place: one.input for one, _ in shown if isinstance(one.input, str)}
    found += [
        Item((row.id,), f"stands word for word in {place}", 1.0, place)
        for row, place, _ in _verbatim(rows, whole.items())
    ]
    once: dict[tuple[str, str | None], str] = {}
    return [one for one in found if all(once.setdefault((id_, one.place), one.says) == one.says for id_ in one.rows)]


def _examples(rows: Sequence[Row], examples: Sequence[Shown], found: Sequence[Item]) -> Check:
    title = "Examples hold no row"
    if not examples:
        return Check("examples", title, "none", "no prompt of the project shows examples")
    worst: State = "error" if any(one.alike == 1.0 for one in found) else "warning"
    return _made(
        "examples", title, worst, found, f"none of {_many(len(examples), 'example')} is a row, nor nearly",
        lambda n: f"{_many(n, 'example')} of prompts {'is' if n == 1 else 'are'} also a row, or nearly: the model is shown what it is asked",
        "take it out of the prompt's examples, or out of the dataset",
    )  # fmt: skip


def _verbatim(rows: Sequence[Row], documents: Iterable[tuple[str, str]]) -> Iterator[tuple[Row, str, str]]:
    """(row, place, the document's words) for each question of a row that stands word for word in a document."""
    wanted: defaultdict[tuple[str, ...], list[tuple[tuple[str, ...], Row]]] = defaultdict(list)
    for row in rows:
        for text in fields_of(row.input or row.metadata).values():
            words = tuple(_WORD.findall(text))
            if len(words) >= _VERBATIM:
                wanted[words[:_VERBATIM]].append((words, row))
    for place, text in documents:
        said = _WORD.findall(normal(text))
        for at in range(len(said) - _VERBATIM + 1):
            for words, row in wanted.get(tuple(said[at : at + _VERBATIM]), ()):
                if tuple(said[at : at + len(words)]) == words:
                    yield row, place, " ".join(said)


def _index(rows: Sequence[Row], documents: Iterable[tuple[str, str]]) -> Check:
    """Questions that stand word for word in what is searched. An answer alone belongs there: that is what is looked for."""
    title = "The index holds no question"
    found: list[Item] = []
    looked = 0

    def counted() -> Iterator[tuple[str, str]]:
        nonlocal looked
        for one in documents:
            looked += 1
            yield one

    for row, place, whole in _verbatim(rows, counted()):
        answer = " ".join(_WORD.findall(normal(row.expected))) if isinstance(row.expected, str) else ""
        both = bool(answer) and f" {answer} " in f" {whole} "
        says = "its question and its expected answer stand" if both else "its question stands"
        found.append(Item((row.id,), f"{says} word for word in {place}", 1.0, place))
    if not looked:
        return Check("index", title, "none", "the project has no index")
    items = list({(one.rows, one.place): one for one in found}.values())
    worst: State = "error" if any("and its expected" in one.says for one in items) else "warning"
    return _made(
        "index", title, worst, items, f"no question stands in one of {_many(looked, 'document')} word for word",
        lambda n: f"{_many(n, 'row')} whose question stands word for word in a document: retrieval is easier than for people's questions",
        "take the file out of the index if it is a copy of the dataset; if it is a list of questions people ask, reword the row",
    )  # fmt: skip


def _empty(rows: Sequence[Row]) -> Check:
    def items() -> Iterator[Item]:
        answered = sum(row.expected is not None for row in rows)
        for row in rows:
            blank = [
                key
                for key, value in row.input.items()
                if value is None or (isinstance(value, str) and not value.strip())
            ]
            if blank:
                yield Item((row.id,), f"{', '.join(f'input.{key}' for key in blank)} is empty")
            if isinstance(row.expected, str) and not row.expected.strip():
                yield Item((row.id,), "expected is empty; leave it out if it is not known")
            elif row.expected is None and _EXPECTED * len(rows) <= answered < len(rows):
                yield Item((row.id,), "has no expected answer, which nearly all others have")

    found = list(items())
    worst: State = "error" if any(one.says.startswith("input.") for one in found) else "note"
    return _made(
        "empty", "Nothing is empty", worst, found, "no field is empty", lambda n: f"{_many(n, 'field')} empty or forgotten",
        "fill them in, or remove the rows",
    )  # fmt: skip


def _roles(rows: Sequence[Row]) -> Check:
    title = "Messages have roles"
    talks = [
        (row, f"input.{name}" if row.input else name, cast("list[Json]", value))
        for row in rows
        for name, value in (row.input or row.metadata).items()
        if isinstance(value, list) and any(isinstance(one, dict) and {"role", "content"} <= one.keys() for one in value)
    ]
    if not talks:
        return Check("roles", title, "none", "no input is a list of messages")
    items = (
        Item((row.id,), f"{name}[{at}]: {wrong}")
        for row, name, value in talks
        for at, one in enumerate(value)
        if (wrong := _wrong_role(one))
    )
    return _made(
        "roles", title, "warning", items, f"every message of {_many(len(talks), 'conversation')} has one that is known",
        lambda n: f"{_many(n, 'message')} without a role that is known: whose turn it is cannot be told",
        "write user, assistant, system or tool",
    )  # fmt: skip


def _wrong_role(message: Json) -> str | None:
    if not isinstance(message, dict):
        return "is no message; write an object with role and content"
    role = message.get("role") or message.get("type") or message.get("from")
    if not isinstance(role, str):
        return "has no role"
    if role in ROLES:
        return None
    near = get_close_matches(role.lower(), ROLES, n=1)
    return f"role {role[:40]!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _duplicates(rows: Sequence[Row], same: Sequence[Sequence[int]]) -> Check:
    """Rows of the same input; where rows bring their outputs, of the same output too."""
    twice, apart = list[Sequence[int]](), list[Item]()
    for places in same:
        by_output: defaultdict[str, list[int]] = defaultdict(list)
        for at in places:
            by_output[digest_of(rows[at].output)].append(at)
        twice += [found for found in by_output.values() if len(found) > 1]
        if len(by_output) > 1 and not _grouped(rows, places):
            apart.append(Item(tuple(rows[at].id for at in places), f"{len(by_output)} outputs of the same input", 1.0))
    items = [Item(tuple(rows[at].id for at in places), f"the same input {len(places)} times", 1.0) for places in twice]
    if not items and apart:
        return _made(
            "duplicate", "No row twice", "note", apart, "", lambda n: f"{_many(n, 'input')} with several outputs and no group",
            "give the rows of one input one group: they are not independent, and intervals that do not know it are wrong",
        )  # fmt: skip
    more = sum(len(places) - 1 for places in twice)
    return _made(
        "duplicate", "No row twice", "warning", items, "no input stands twice",
        lambda _: f"{_many(more, 'row')} too many: the input stands there already, but for capitals and spaces",
        "keep one of each: a case that is asked twice counts twice, and intervals come out too narrow",
    )  # fmt: skip


def _grouped(rows: Sequence[Row], places: Sequence[int]) -> bool:
    groups = {rows[at].group for at in places}
    return len(groups) == 1 and None not in groups


def _near(rows: Sequence[Row], alike: Sequence[Pair], skipped: int) -> Check:
    items = (
        Item((rows[p.first].id, rows[p.second].id), f"{p.alike:.2f} alike", p.alike)
        for p in alike
        if not (rows[p.first].split and rows[p.second].split and rows[p.first].split != rows[p.second].split)
        and not _grouped(rows, (p.first, p.second))
        and rows[p.first].output == rows[p.second].output
    )
    more = (
        f"; {_many(skipped, 'row')} look like so many others that only the 40 nearest were compared" if skipped else ""
    )
    return _made(
        "near-duplicate", "No row nearly twice", "warning", items, f"no two inputs are nearly the same{more}",
        lambda n: f"{_many(n, 'pair')} of nearly the same input{more}", "keep one, or give both one group, so that intervals know it",
    )  # fmt: skip


def _personal(rows: Sequence[Row]) -> Check:
    def items() -> Iterator[Item]:
        for row in rows:
            text = "\n".join(_strings([row.input, row.expected, row.output, row.metadata]))
            if possible(text) and (kinds := sorted({one.kind for one in detect(text, KINDS)})):
                yield Item((row.id,), ", ".join(kinds))

    found = list(items())
    kinds = Counter(kind for one in found for kind in one.says.split(", "))
    worst: State = "error" if kinds["secret"] else "warning"
    return _made(
        "personal", "Nothing personal", worst, found, "no personal data or secret, by its shape",
        lambda n: f"{_many(n, 'row')} with {', '.join(f'{kind} ({count})' for kind, count in kinds.most_common())}, by its shape",
        "replace what is real by something invented; a secret must be made anew where it is used",
    )  # fmt: skip


def _strings(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _language(rows: Sequence[Row]) -> Check:
    told: dict[str, str] = {}
    for row in rows:
        text = " ".join(_strings(row.input or row.metadata))
        if len(text.split()) >= _LANGUAGE_WORDS and (code := language_of(text, sure=True)):
            told[row.id] = code
    counts = Counter(told.values())
    if not counts:
        return Check(
            "language", "One language", "none", f"no input has the {_LANGUAGE_WORDS} words that tell a language"
        )
    said = (
        ", ".join(f"{n:,} {code}" for code, n in counts.most_common(6))
        + f" of {_many(len(told), 'input')} that can be told"
    )
    main, most = counts.most_common(1)[0]
    if most < _MAIN * len(told):
        return Check("language", "One language", "pass", said)
    odd = (Item((id_,), code) for id_, code in told.items() if counts[code] < _FEW * len(told) and code != main)
    return _made(
        "language", "One language", "note", odd, said, lambda n: f"{said}: {_many(n, 'row')} in a rare one",
        "check that they are meant; a tag makes them a slice of their own",
    )  # fmt: skip


def _length(rows: Sequence[Row]) -> Check:
    sizes = {row.id: len("".join(_strings(row.input or row.metadata)).strip()) for row in rows}
    known = sorted(size for size in sizes.values() if size)
    if len(known) < _FENCE_ROWS:
        return Check(
            "length", "Lengths are alike", "none", f"fewer than {_FENCE_ROWS} inputs with text: no length is usual yet"
        )
    low, _, high = statistics.quantiles([math.log(size) for size in known], n=4)
    reach = _FENCE * max(high - low, math.log(1.5))
    odd = (
        Item((id_,), f"{size:,} characters")
        for id_, size in sorted(sizes.items(), key=lambda one: -one[1])
        if size and not low - reach <= math.log(size) <= high + reach
    )
    said = f"{known[0]:,} to {known[-1]:,} characters, half of them {math.exp(low):,.0f} to {math.exp(high):,.0f}"
    return _made(
        "length", "Lengths are alike", "note", odd, said, lambda n: f"{said}: {_many(n, 'row')} far out",
        "check that they are whole, and no file that was pasted",
    )  # fmt: skip
