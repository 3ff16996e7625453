"""Dataclasses that are made when they are first needed are those of Python in all that can be seen of them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import pytest

from afere.base.classes import dataclass


def _pair(made: Any, **options: bool) -> tuple[Any, Any]:
    """The same class by us and by Python."""
    body = {name: value for name, value in vars(made).items() if name not in ("__dict__", "__weakref__")}
    ours = dataclass(**options)(type(made.__name__, (), dict(body)))
    theirs = dataclasses.dataclass(**options)(type(made.__name__, (), dict(body)))
    return ours, theirs


class Plain:
    __module__ = __name__
    kind: ClassVar[str] = "x"
    name: str
    size: int = 3
    tags: list[str] = dataclasses.field(default_factory=list)
    hidden: int = dataclasses.field(default=7, init=False, repr=False, compare=False)
    last: str = dataclasses.field(default="z", kw_only=True)


class Alone:
    __module__ = __name__
    value: float = 1.0

    def __post_init__(self) -> None:
        if self.value < 0:
            raise ValueError("value is negative")


class Empty:
    __module__ = __name__


OPTIONS = [{"frozen": frozen, "slots": slots} for frozen in (False, True) for slots in (False, True)]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("made", [Plain, Alone, Empty], ids=lambda one: one.__name__)
def test_it_is_what_python_makes(made: type, options: dict[str, bool]) -> None:
    ours, theirs = _pair(made, **options)
    signatures = [str(inspect.signature(one)) for one in (ours, theirs)]
    assert signatures[0] == signatures[1]
    given: dict[str, Any] = {Plain: {"name": "a", "size": 4}, Alone: {"value": 2.5}, Empty: {}}[made]
    one, same, other = ours(**given), ours(**given), theirs(**given)
    assert repr(one) == repr(other) and dataclasses.asdict(one) == dataclasses.asdict(other)
    assert one == same and one != other and (one != object())
    assert dataclasses.astuple(one) == dataclasses.astuple(copy.deepcopy(one))
    assert ours.__match_args__ == theirs.__match_args__ and ours.__doc__ is None
    assert (ours.__hash__ is None) == (theirs.__hash__ is None)
    assert hasattr(one, "__dict__") == hasattr(other, "__dict__")
    if options["frozen"] and made is not Plain:  # whose list has no hash
        assert hash(one) == hash(same)
    names = [one.name for one in dataclasses.fields(ours)]
    assert names == [one.name for one in dataclasses.fields(theirs)]
    for name in names:
        if options["frozen"]:
            with pytest.raises(dataclasses.FrozenInstanceError, match=name):
                setattr(one, name, 1)
            with pytest.raises(dataclasses.FrozenInstanceError, match=name):
                delattr(one, name)
        else:
            setattr(one, name, 1)
            assert getattr(one, name) == 1 and one != same
    with pytest.raises(TypeError):
        ours(no_field=1)


def test_lists_are_made_for_each_and_checks_are_run() -> None:
    ours, _ = _pair(Plain, frozen=True)
    assert ours("a").tags is not ours("b").tags and ours("a", last="y").last == "y" and ours("a").hidden == 7
    alone, _ = _pair(Alone, frozen=True, slots=True)
    with pytest.raises(ValueError, match="negative"):
        dataclasses.replace(alone(), value=-1.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """Of a module, as pickles need it."""

    name: str
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Above:
    name: str


@dataclasses.dataclass(frozen=True)
class Below(Above):
    size: int = 0


@dataclass(frozen=True)
class BelowOurs(Above):
    size: int = 0


def test_it_can_be_pickled_and_matched_and_stand_above_others() -> None:
    one = Kept("a", (1, 2))
    assert (
        pickle.loads(pickle.dumps(one)) == one
        and copy.copy(one) == one
        and Kept.__doc__ == "Of a module, as pickles need it."
    )
    match one:
        case Kept(name, parts):
            assert (name, parts) == ("a", (1, 2))
    for below in (Below, BelowOurs):
        made = below("a", 3)
        assert (made.name, made.size) == ("a", 3) and made != below("a", 4)
        with pytest.raises(dataclasses.FrozenInstanceError):
            made.name = "b"  # pyright: ignore[reportAttributeAccessIssue] - that is the point


def test_several_threads_may_make_the_first_object() -> None:
    for _ in range(50):
        ours, _theirs = _pair(Plain, frozen=True, slots=True)
        with ThreadPoolExecutor(8) as pool:
            assert {one.name for one in pool.map(ours, "abcdefgh")} == set("abcdefgh")
