"""What a scorer is: a function that names what it wants, and the rules for what it may answer."""

from __future__ import annotations

import ast
import functools
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal, Protocol, cast, overload

from afere.base.artifact import check_name
from afere.base.canonical import Json, digest, plain
from afere.base.errors import BadInput, MissingExtra, WorldFailed
from afere.base.score import Score, Value
from afere.chains.waiting import waited
from afere.evals.scorers.case import TURN, Case

_TURNS = 5  # turns of a conversation that stand apart in the table
WANTED = ("input", "output", "expected", "context", "trace", "row")
Better = Literal["higher", "lower"]
Within = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scored:
    """One answer of a scorer. None is unknown, and `why` says the reason; `world`: a model, disk or network failed."""

    value: Value
    why: str = ""
    world: bool = False
    data: dict[str, Json] = field(default_factory=dict[str, Json])


def counted(found: Mapping[str, Scored]) -> dict[str, tuple[str, dict[str, float]]]:
    """What measures over all cases together are made of, by scorer: the formula, and this case's counts."""
    return {
        name: (str(one.data["pool"]), cast("dict[str, float]", one.data["counts"]))
        for name, one in found.items()
        if one.value is not None and "pool" in one.data
    }


class Judging(Protocol):
    """What an evaluation asks of a scorer or a judge."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Literal["scorer", "judge"]: ...
    @property
    def better(self) -> Better: ...
    @property
    def within(self) -> Within | None:
        """The least and the greatest number it can answer, where that is known."""
        ...

    @property
    def content(self) -> dict[str, Json]:
        """What makes it this version: the content of its artifact."""
        ...

    def score(self, case: Case) -> dict[str, Scored]:
        """Its answers by name; usually one, under its own name. Never raises."""
        ...


class Scorer:
    """A function that scores one output. It stays callable as it was.

    It names what it wants of `input, output, expected, context, trace, row`; further keyword parameters with a default
    are its options. It returns a bool (a rate), number (a mean), str (a share per value), None, a Score, or a dict of
    them by name. What it raises becomes None with the reason.
    """

    kind: Literal["scorer", "judge"] = "scorer"

    def __init__(
        self, function: Callable[..., Any], *, name: str | None = None, better: Better = "higher",
        options: Mapping[str, Json] | None = None, of: str | None = None, within: Within | None = None,
    ) -> None:  # fmt: skip
        self.function = function
        self.name = _named(function, name)
        self.better: Better = better
        self.within = _limits(self.name, within)
        self.of = of
        self.options = dict(options or {})
        self._wanted, self._needed = _wanted(function, self.name, self.options)
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **{**self.options, **kwargs})

    def __repr__(self) -> str:
        return f"<scorer {self.name!r}>"

    def configured(self, *, name: str | None, of: str | None, options: Mapping[str, Json]) -> Scorer:
        """The same scorer under another name, on a component, or with other options."""
        return Scorer(
            self.function, name=name or self.name, better=self.better, options={**self.options, **options},
            of=of or self.of, within=self.within,
        )  # fmt: skip

    @property
    def content(self) -> dict[str, Json]:
        """Its code with the helpers of the project that it reaches, its options and component: a change of any is
        another version. Comments and layout are none.
        """
        function = self.function
        own = {} if self.within is None or _is_ours(function) else {"within": list[Json](self.within)}
        return {
            "function": f"{function.__module__}:{getattr(function, '__qualname__', self.name)}",
            "code": _reached(function) or _code(function),
            "options": plain(self.options, where=f"options of {self.name}"),
            "of": self.of,
            "better": self.better,
            **own,
        }

    def score(self, case: Case) -> dict[str, Scored]:
        if self.of is None:
            return self._once(case)
        runs = case.of(self.of)
        if not runs:
            return {self.name: Scored(None, f"{self.of} did not run in this trace")}
        return averaged([self._once(run) for run in runs], self.of)

    def _once(self, case: Case) -> dict[str, Scored]:
        if "trace" in self._needed and case.trace is None:
            return {self.name: Scored(None, "there is no trace: the outputs were given, nothing ran")}
        if "expected" in self._needed and case.row.expected is None:
            return {self.name: Scored(None, "the row has no expected")}
        try:
            answer = self.function(**{name: _SAID[name](case) for name in self._wanted}, **self.options)
            if inspect.iscoroutine(answer):
                answer = waited(answer)
        except (WorldFailed, OSError) as problem:
            return {self.name: Scored(None, _reason(problem), world=True)}
        except MissingExtra as problem:
            return {self.name: Scored(None, str(problem))}
        except (Exception, SystemExit) as problem:
            return {self.name: Scored(None, f"the scorer raised {_reason(problem)}")}
        return {name: self._checked(one) for name, one in _read(self.name, answer).items()}

    def _checked(self, one: Scored) -> Scored:
        """A number that it cannot answer, by what it says of itself, is a mistake and no score."""
        value = one.value
        if self.within is None or value is None or isinstance(value, str) or self.within[0] <= value <= self.within[1]:
            return one
        return Scored(None, f"the scorer returned {value:g}, outside its limits of {_in_words(self.within)}")


_SAID: dict[str, Callable[[Case], Any]] = {
    "input": lambda case: case.input, "output": lambda case: case.output, "expected": lambda case: case.row.expected,
    "context": lambda case: case.context, "trace": lambda case: case.trace, "row": lambda case: case.row,
}  # fmt: skip


@overload
def scorer(
    fn: Callable[..., Any], /, *, name: str | None = None, better: Better = "higher", within: Within | None = None
) -> Scorer: ...
@overload
def scorer(
    *, name: str | None = None, better: Better = "higher", within: Within | None = None
) -> Callable[[Callable[..., Any]], Scorer]: ...
def scorer(
    fn: Callable[..., Any] | None = None, /, *, name: str | None = None, better: Better = "higher",
    within: Within | None = None,
) -> Scorer | Callable[[Callable[..., Any]], Scorer]:  # fmt: skip
    """Make a function a scorer: `@afere.scorer`, or `afere.scorer(fn, name="close", better="lower", within=(0, 1))`.

    The function names what it wants of input, output, expected, context, trace, row. `within` are the least and the
    greatest number it can answer: intervals stay inside, and a number outside is unknown, with the reason. BadInput if it
    wants anything else, or if these are not two numbers in order.
    """
    if fn is None:
        return functools.partial(_decorated, name, better, within)
    return Scorer(fn, name=name, better=better, within=within)


def _decorated(name: str | None, better: Better, within: Within | None, function: Callable[..., Any]) -> Scorer:
    return Scorer(function, name=name, better=better, within=within)


def _limits(name: str, within: object) -> Within | None:
    if within is None:
        return None
    ends = list(cast("Sequence[object]", within)) if isinstance(within, tuple | list) else []
    low, high = ends if len(ends) == 2 else (None, None)
    if not isinstance(low, int | float) or not isinstance(high, int | float) or not low < high:
        raise BadInput(
            f"scorer {name!r}: within={within!r}; give the least and the greatest number it can answer: (0, 1)."
        )
    return float(low), float(high)


def _in_words(within: Within) -> str:
    return f"{within[0]:g} to {within[1]:g}"


def _is_ours(function: Callable[..., Any]) -> bool:
    return (getattr(function, "__module__", "") or "").partition(".")[0] == "afere"


def _named(function: Callable[..., Any], name: str | None) -> str:
    found = name or getattr(function, "__name__", type(function).__name__)
    if found == "<lambda>":
        raise BadInput('A scorer made of a lambda needs a name: afere.scorer(lambda output: ..., name="short").')
    return check_name(found if name else found.lower().lstrip("_"), "scorer")


def _wanted(
    function: Callable[..., Any], name: str, options: Mapping[str, Json]
) -> tuple[tuple[str, ...], frozenset[str]]:
    """What a function wants of a case, and of that what it cannot do without: what has no default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise BadInput(
            f"scorer {name!r}: {function!r} does not say which parameters it takes. Wrap it in a def."
        ) from None
    wanted: list[str] = []
    needed: list[str] = []
    own: list[str] = []
    for parameter in parameters:
        if parameter.name in WANTED and parameter.kind is not parameter.POSITIONAL_ONLY:
            wanted.append(parameter.name)
            needed += [parameter.name] if parameter.default is parameter.empty else []
        elif parameter.kind is parameter.VAR_KEYWORD:
            own += [option for option in options if option not in own]
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            if parameter.default is parameter.empty and parameter.name not in options:
                raise BadInput(
                    f"scorer {name!r} asks for {parameter.name!r}{_near(parameter.name, WANTED)} It may ask for "
                    f"{', '.join(WANTED)}; give any other parameter a default, and a suite can set it."
                )
            own.append(parameter.name)
    for option in options:
        if option not in own:
            has = f"Its options: {', '.join(own)}." if own else "It has no options."
            raise BadInput(f"scorer {name!r} has no option {option!r}.{_near(option, own, stop='')} {has}")
    return tuple(wanted), frozenset(needed)


def _near(word: str, known: Sequence[str], stop: str = ".") -> str:
    close = get_close_matches(word, known, n=1)
    return f"{stop} Did you mean {close[0]!r}?" if close else stop


def _reason(problem: BaseException) -> str:
    text = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
    return text if len(text) <= 300 else text[:299] + "…"


def _read(name: str, answer: object) -> dict[str, Scored]:
    """A scorer's answer as values by name (`""`: its own); what is no value becomes None with the reason."""
    if answer is True or answer is False:  # as most say
        return {name: Scored(answer)}
    if not isinstance(answer, Mapping):
        return {name: _value(answer)}
    named = cast("Mapping[object, object]", answer)
    found = {name if key in (name, "") else f"{name}.{key}": _value(value) for key, value in named.items()}
    return found or {name: Scored(None, "the scorer returned an empty dict")}


def _value(answer: object) -> Scored:
    if isinstance(answer, Score):
        return Scored(answer.value, answer.why, data=dict(answer.data))
    item = getattr(answer, "item", None)  # a scalar of numpy and its kin
    value = item() if callable(item) and getattr(answer, "ndim", None) == 0 else answer
    if value is None:
        return Scored(None, "the scorer gave no value")
    if isinstance(value, bool | str):
        return Scored(value)
    if isinstance(value, int | float):
        return _number(value)
    kind = type(value).__name__
    return Scored(None, f"the scorer returned a {kind}; return a bool, number, str, None, Score or dict of them")


def _number(value: float) -> Scored:
    """A number that JSON holds: whole ones from 2^53 on are written as floats."""
    try:
        float(value)
    except OverflowError:
        return Scored(None, "the scorer returned a whole number too large to be counted with")
    if not math.isfinite(value):
        return Scored(None, f"the scorer returned {value}, which is not a number")
    return Scored(float(value) if abs(value) >= 2**53 else value)


def averaged(runs: list[dict[str, Scored]], of: str | None = None) -> dict[str, Scored]:
    """Several runs of one component in one trace count as one: the mean of what is known, and what all of them cost.

    Of the turns of a conversation, the first ones stand beside it too: `polite.turn1`, `polite.turn2`.
    """
    names = dict.fromkeys(name for run in runs for name in run)
    found = runs[0] if len(runs) == 1 else {name: _mean([run[name] for run in runs if name in run]) for name in names}
    if of != TURN:
        return found
    apart = {
        f"{name}.{TURN}{number}": replace(one, data={})  # its cost is in the mean's
        for number, run in enumerate(runs[:_TURNS], 1)
        for name, one in run.items()
    }
    return {**found, **apart}


def _mean(answers: list[Scored]) -> Scored:
    costs = [cost for one in answers if isinstance(cost := one.data.get("cost"), int | float)]
    data: dict[str, Json] = {"cost": sum(costs)} if costs else {}
    data["runs"] = [[one.value, one.why] for one in answers]
    broken = next((one for one in answers if one.world), None)
    if broken is not None:  # a part of them would be another measure
        return Scored(None, broken.why, True, data)
    known = [one.value for one in answers if one.value is not None]
    numbers = [float(value) for value in known if not isinstance(value, str)]
    if not known:
        return Scored(None, answers[0].why, data=data)
    if len(numbers) < len(known):
        return Scored(known[-1], f"the last of {len(known)} runs", data=data)
    worst = next((f": {one.why}" for one in answers if one.value in (False, 0.0) and one.why), "")
    return Scored(math.fsum(numbers) / len(numbers), f"mean of {len(numbers)} runs{worst}"[:300], data=data)


def _reached(function: Callable[..., Any]) -> Json:
    """The user's own code that the function reaches, part by part; None for built-ins and for what cannot be read."""
    if _is_ours(function):
        return None
    from afere.chains.revision import capture

    try:
        found = capture(function)
    except Exception:  # a scorer without readable source is known by its own code
        return None
    return {"parts": dict(found.parts), "packages": dict(found.packages)} if found.parts else None


def _code(function: Callable[..., Any]) -> str:
    """The digest of the function's code with the functions of its module that it calls, the same on every Python; by
    bytecode where there is no source.
    """
    inner = inspect.unwrap(function)
    try:
        return digest("\n".join(_forms(inner, set())).encode())
    except (OSError, TypeError, SyntaxError):
        code = getattr(inner, "__code__", None)
        return digest(code.co_code + repr(code.co_consts).encode() if code else type(function).__qualname__.encode())


def _forms(function: Any, seen: set[str]) -> list[str]:
    from afere.chains.revision.canonical_form import form_text

    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = []
    found = [form_text(tree.body)]
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - seen
    seen |= names
    for name in sorted(names):
        other = getattr(function, "__globals__", {}).get(name)
        if inspect.isfunction(other) and other.__module__ == function.__module__ and other is not function:
            found += _forms(other, seen)
    return found
