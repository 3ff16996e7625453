"""What spans tell of tools: calls by day and the definitions that models were given. Each span is read once.

What was read is kept in the cache, summed by day (UTC), and brought forward from the last span that was read; without it all is
read anew. A call that comes again counts once, as long as it is among the last 20,000; counts of removed spans stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from afere.base.clock import rfc3339
from afere.chains.toolcard import ToolCard
from afere.govern.offered import Offered
from afere.store.spans.rollup import bucket

if TYPE_CHECKING:
    from afere.base.canonical import Json
    from afere.base.span import Span
    from afere.store import Session
    from afere.store.spans.scan import Glance

_DAY = 86_400 * 10**9  # nanoseconds
_FORM = 1  # of what is kept; another form is read anew
_FIRST = 1_000_000  # spans that are read where nothing is kept: the newest
_STEP = 50_000  # spans that are held at once
_KINDS = ("tool", "llm", "agent", "chain", "step")  # of spans that say something of tools
_LOOKED = 2_000  # spans at first that are looked at for definitions of tools, and besides
_HOURLY = 3  # of each name and hour
_HOUR = 3_600 * 10**9
_AGAIN = 20_000  # calls that are known again
_NAMES = 5_000  # tools that are told apart
_AGREED = 500  # spans of a name that named the same caller: the others hardly name another
_OPEN = 200  # calls that run
_WAITING = 500  # calls whose parent is not here yet, as long as ten minutes
_PATIENCE = 600 * 10**9
_DEPTH = 100  # spans above a call that are looked at

_State = dict[str, Any]
_Caller = tuple[str | None, str | None]  # its name, else the span above that is not here


@dataclass(slots=True)
class Calls:
    """The calls of one tool. `traces`: how many calls of a trace ended, and how many of these failed -> in how many traces.

    `buckets`: of seconds of calls that went well, as the counts by hour have them -> count.
    """

    count: int
    errors: int
    traces: Counter[tuple[int, int]]
    buckets: Counter[int]
    callers: Counter[str]
    last: tuple[int, str]  # start (ns) and trace


@dataclass(frozen=True, slots=True)
class ToolCalls:
    """`of`: calls by tool. `cards`: tools that models were given. `cut`: older spans of the window were not read."""

    of: Mapping[str, Calls]
    cards: Sequence[ToolCard]
    cut: bool
    left_out: int  # calls of more different names than are told apart


def tool_calls(session: Session, *, since: int, until: int) -> ToolCalls:
    """The calls that began on the days (UTC) from `since` to `until` (ns), and the tools that models were given on them."""
    first, last = since // _DAY, until // _DAY
    key = f"tool calls/{session.project}"
    kept = cast("_State | None", session.cache.get(key))
    state: _State = kept if kept and kept["form"] == _FORM and kept["from"] <= first else {}
    newest = session.spans.place()
    if not state or state["place"] > newest:  # nothing is kept, or of another file
        state = _begun(session, first)
    if state["place"] < newest:
        reading = _Reading(session, state, until)
        while reading.step():
            pass
        session.cache.put(key, state)
    return _between(state, first, last)


def _begun(session: Session, first: int) -> _State:
    (counted,) = session.spans.stats(f"since:{rfc3339(first * _DAY)}")
    cut = cast("int", counted["count"]) > _FIRST
    after = max(0, session.spans.place() - _FIRST) if cut else 0
    return {
        "form": _FORM, "from": first, "place": after, "cut": cut, "days": {}, "offers": {}, "again": [], "open": {},
        "waiting": [], "left_out": 0,
    }  # fmt: skip


class _Names:
    """What spans of one name say, where that name says it itself: the tool of `execute_tool search`, the caller `desk.agent`.

    `rarely`: a name of which so many spans said the same is asked every twentieth time, until one says something else.
    """

    def __init__(self, session: Session, of: Callable[[Span], str], rarely: int | None = None) -> None:
        self._session, self._of, self._rarely = session, of, rarely
        self._known: dict[str, str | None] = {}  # None: it may be another one each time
        self._same: dict[str, tuple[str, int]] = {}  # what spans of a name said last, and how often in turn

    def of(self, glances: Sequence[Glance]) -> dict[int, str]:
        """What each of these says, by place. A span is read whole where its name does not say it, and once a name."""
        new = {one.name: one for one in reversed(glances) if one.name not in self._known}
        for name, said in zip(new, self._read(list(new.values())), strict=True):
            self._known[name] = said if said and said in name else None
        each = [one for one in glances if self._known[one.name] is None and not self._sure(one)]
        found = {one.place: said for one, said in zip(each, self._read(each), strict=True)}
        for one in each:
            said = found[one.place] or one.name
            last, times = self._same.get(one.name, ("", 0))
            self._same[one.name] = (said, times + 1 if said == last else 1)
        return {
            one.place: self._known[one.name] or found.get(one.place) or self._same.get(one.name, (one.name,))[0]
            for one in glances
        }

    def _sure(self, one: Glance) -> bool:
        _, times = self._same.get(one.name, ("", 0))
        return self._rarely is not None and times >= self._rarely and bool(one.place % 20)

    def _read(self, glances: Sequence[Glance]) -> list[str | None]:
        return [None if s is None else self._of(s) for s in self._session.spans.at([one.place for one in glances])]


class _Reading:
    """Brings what is kept forward."""

    def __init__(self, session: Session, state: _State, now: int) -> None:
        self._session, self._state, self._now = session, state, now
        self._tools, self._callers = _Names(session, _tool), _Names(session, _caller, _AGREED)
        self._known = set[int](state["again"])
        self._names = {name for day in state["days"].values() for name in day}
        self._looked: Counter[tuple[str, int]] = (
            Counter()
        )  # spans that were looked at for definitions, by name and hour

    def step(self) -> bool:
        """Read the next spans; False where there are no more."""
        state, spans = self._state, self._session.spans
        found, state["place"] = spans.newer(state["place"], _KINDS, since=state["from"] * _DAY, most=_STEP)
        self._offers([one for one in found if one.kind != "tool"])
        calls = [one for one in found if one.kind == "tool"]
        tools = self._tools.of(calls)
        taken = [(tools[one.place], one) for one in calls if self._takes(tools[one.place], one)]
        self._count(taken, self._above([(one.trace_id, one.parent_id) for _, one in taken]))
        self._wait()
        state["again"] = state["again"][-_AGAIN:]
        return len(found) == _STEP

    def _takes(self, name: str, call: Glance) -> bool:
        """Whether a call counts: it was not counted before, and its tool is among those that are told apart."""
        key = int(call.trace_id[-8:] + call.span_id[-8:], 16)
        if key in self._known:
            return False
        known = self._state["open"].pop(str(key), None)
        if name not in self._names:
            if len(self._names) >= _NAMES:
                self._state["left_out"] += 1
                return False
            self._names.add(name)
        if call.status != "running":
            self._known.add(key)
            self._state["again"].append(key)
            return True
        if len(self._state["open"]) < _OPEN or known:
            above = self._above([(call.trace_id, call.parent_id)])[0][0]
            self._state["open"][str(key)] = [str(call.start // _DAY), name, call.start, call.trace_id, above]
        return False

    def _count(self, calls: Sequence[tuple[str, Glance]], callers: Sequence[_Caller]) -> None:
        ended: dict[tuple[str, str, str], list[int]] = {}  # day, tool, trace -> calls that ended, that failed
        for (name, call), (caller, missing) in zip(calls, callers, strict=True):
            day, failed = str(call.start // _DAY), call.status == "error"
            cell = (
                self._state["days"]
                .setdefault(day, {})
                .setdefault(
                    name, {"calls": 0, "errors": 0, "traces": {}, "buckets": {}, "callers": {}, "last": [0, ""]}
                )
            )
            cell["calls"] += 1
            cell["errors"] += failed
            if call.status in ("ok", "error"):
                pair = ended.setdefault((day, name, call.trace_id), [0, 0])
                pair[0] += 1
                pair[1] += failed
            if call.status == "ok" and call.seconds is not None:
                _add(cell["buckets"], str(bucket(call.seconds)))
            cell["last"] = max(cell["last"], [call.start, call.trace_id])
            if caller:
                _add(cell["callers"], caller)
            elif missing and len(self._state["waiting"]) < _WAITING:
                self._state["waiting"].append([day, name, call.trace_id, missing, self._now])
        for (day, name, _), (all_, failed) in ended.items():
            _add(self._state["days"][day][name]["traces"], f"{all_},{failed}")

    def _wait(self) -> None:
        """Ask again for the callers of calls that came before what is above them."""
        waiting = self._state["waiting"]
        left: list[Any] = []
        callers = self._above([(trace, above) for _, _, trace, above, _ in waiting])
        for (day, name, trace, _, asked), (caller, missing) in zip(waiting, callers, strict=True):
            if caller:
                _add(self._state["days"][day][name]["callers"], caller)
            elif missing and self._now - asked < _PATIENCE:
                left.append([day, name, trace, missing, asked])
        self._state["waiting"] = left

    def _above(self, ids: Sequence[tuple[str, str | None]]) -> list[_Caller]:
        """The nearest agent or chain from each of these spans upwards; else the span that is not here. A circle has neither."""
        at = [(trace, span) for trace, span in ids]
        found: list[_Caller] = [(None, span) for _, span in ids]
        known: dict[tuple[str, str | None], Glance | None] = {}
        named: dict[int, Glance] = {}  # by place in `ids`
        open_ = [i for i, (_, span) in enumerate(at) if span is not None]
        for _ in range(_DEPTH):
            wanted = {at[i] for i in open_ if at[i] not in known}
            known |= dict.fromkeys(wanted)
            read = self._session.spans.glances(cast("Sequence[tuple[str, str]]", sorted(wanted)))
            known |= {(one.trace_id, one.span_id): one for one in read}
            going: list[int] = []
            for i in open_:
                above = known[at[i]]
                if above is None:
                    found[i] = (None, at[i][1])
                elif above.kind in ("agent", "chain"):
                    named[i] = above
                elif above.parent_id is None:
                    found[i] = (None, None)
                else:
                    at[i] = (at[i][0], above.parent_id)
                    going.append(i)
            open_ = going
            if not open_:
                break
        for i in open_:
            found[i] = (None, None)
        names = self._callers.of(list({one.place: one for one in named.values()}.values()))
        for i, one in named.items():
            found[i] = (names[one.place], None)
        return found

    def _offers(self, glances: Sequence[Glance]) -> None:
        """Look for definitions of tools: in the first spans, then in some of each name and hour, since reading one whole takes time."""
        places: list[int] = []
        for one in glances:
            key = one.name, one.start // _HOUR
            self._looked[key] += 1
            if self._looked.total() <= _LOOKED or self._looked[key] <= _HOURLY:
                places.append(one.place)
        offered: dict[int, Offered] = {}
        for span in self._session.spans.at(places):
            if span is not None:
                offered.setdefault(span.start // _DAY, Offered()).look(span.attributes, rfc3339(span.start))
        for day, found in offered.items():
            self._offer(day, found.cards)

    def _offer(self, day: int, cards: Iterable[ToolCard]) -> None:
        offers = cast("dict[str, _State]", self._state["offers"])
        for card in cards:
            known = offers.get(card.name)
            if known is None:
                if len(offers) >= _NAMES:
                    continue
                known = offers[card.name] = {"description": "", "parameters": {}, "first": card.added, "last": day}
            if len(card.description) > len(known["description"]):
                known["description"] = card.description
                known["parameters"] = dict(card.parameters) or known["parameters"]
            known["parameters"] = known["parameters"] or dict(card.parameters)
            known["first"] = min(known["first"], card.added or known["first"])
            known["last"] = max(known["last"], day)


def _between(state: _State, first: int, last: int) -> ToolCalls:
    """What is kept of these days."""
    found: dict[str, Calls] = {}

    def of(name: str) -> Calls:
        return found.setdefault(name, Calls(0, 0, Counter(), Counter(), Counter(), (0, "")))

    for day, cells in state["days"].items():
        if not first <= int(day) <= last:
            continue
        for name, cell in cells.items():
            calls = of(name)
            calls.count += cell["calls"]
            calls.errors += cell["errors"]
            for pair, count in cell["traces"].items():
                ended, _, failed = pair.partition(",")
                calls.traces[int(ended), int(failed)] += count
            calls.buckets.update({int(number): count for number, count in cell["buckets"].items()})
            calls.callers.update(cell["callers"])
            calls.last = max(calls.last, (cell["last"][0], cell["last"][1]))
    for day, name, start, trace, caller in state["open"].values():
        if first <= int(day) <= last:
            calls = of(name)
            calls.count += 1
            calls.callers.update([caller] if caller else [])
            calls.last = max(calls.last, (start, trace))
    cards = [
        ToolCard(name, one["description"], None, (), cast("Mapping[str, Json]", one["parameters"]), one["first"])
        for name, one in state["offers"].items()
        if one["last"] >= first and one["first"][:10] <= rfc3339(last * _DAY)[:10]
    ]
    return ToolCalls(found, cards, state["cut"], state["left_out"])


def _tool(span: Span) -> str:
    return str((span.tool.get("name") if span.tool else None) or span.name)


def _caller(span: Span) -> str:
    return str(span.attributes.get("gen_ai.agent.name") or "") or span.name


def _add(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
