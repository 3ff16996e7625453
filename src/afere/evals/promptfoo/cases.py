"""The tests of a promptfoo file, as rows: vars and their combinations, defaults, scenarios, tests in other files."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from afere.base.canonical import Json
from afere.base.document import Document
from afere.base.errors import BadInput
from afere.data import Row
from afere.evals.promptfoo.assertions import Reading
from afere.evals.promptfoo.checks import LIMITED, VALUELESS
from afere.evals.promptfoo.files import FILE, Folder, data, records

_TEST = ("description", "vars", "assert", "threshold", "options", "metadata", "providers", "prompts")
_OPTIONS = ("provider", "rubricPrompt", "transform", "factuality", "disableVarExpansion", "disableDefaultAsserts")
_MAX_ROWS = 100_000
_KIND = re.compile(r"(?P<kind>(?:not-)?[a-z][a-z-]*)(?:\((?P<limit>\d+(?:\.\d+)?)\))?:(?P<value>.*)", re.DOTALL)
_LIMITS = {"similar": 0.8, "cost": 0.75, "latency": 0.75, "levenshtein": 0.75, "rouge-n": 0.75}
_OLD = {"fn": "javascript", "eval": "javascript", "grade": "llm-rubric"}
_EXPECTED_KEYS = ("metric", "threshold")


@dataclass(frozen=True)
class Tried:
    """One test as it is written, and where."""

    said: dict[str, Json]
    place: str


class Cases:
    """Reads the rows of a document; what is not read of a test is added to `reading.unread`."""

    def __init__(self, document: Document, folder: Folder, reading: Reading) -> None:
        self._document, self._folder, self._reading = document, folder, reading
        self._said = cast("dict[str, Json]", document.value)

    def rows(self) -> list[Row]:
        default = self._default()
        rows: list[Row] = []
        for one in self._all():
            self._unknown(one.said, one.place)
            test = _merged(default, one.said)
            metadata = self._metadata(test, one.place)
            for values in self._grid(test, one.place):
                rows.append(Row(f"t-{len(rows) + 1}", input=values, metadata=metadata))
                if len(rows) > _MAX_ROWS:
                    raise BadInput(f"{one.place}: the lists under vars make more than {_MAX_ROWS:,} tests.")
        return rows

    def _metadata(self, test: dict[str, Json], place: str) -> dict[str, Json]:
        """What a test's rows hold beside its vars."""
        options = _mapping(test, "options", place)
        ready, lost = self._reading.read(_asserts(test, place), options, place)
        metadata: dict[str, Json] = {
            **_mapping(test, "metadata", place), "assert": ready, "skipped": lost, "threshold": test.get("threshold"),
        }  # fmt: skip
        for key in ("description", "providers", "prompts"):
            if test.get(key) is not None:
                metadata[key] = test[key]
        if options.get("transform") is not None:
            metadata["transform"] = options["transform"]
        return metadata

    def _default(self) -> dict[str, Json]:
        place = self._document.at(("defaultTest",))
        said = self._said.get("defaultTest") or {}
        said = data(self._folder.file(said, place)) if isinstance(said, str) else said
        if not isinstance(said, dict):
            raise BadInput(f"{place}: defaultTest must be a mapping, or file://NAME.yaml.")
        self._unknown(said, place)
        return said

    def _unknown(self, test: Mapping[str, Json], place: str) -> None:
        self._reading.unread += [f"{place}: {key} of a test" for key in test if key not in _TEST]
        options = test.get("options")
        if isinstance(options, dict):
            self._reading.unread += [f"{place}: options.{key} of a test" for key in options if key not in _OPTIONS]

    def _all(self) -> Iterator[Tried]:
        if "tests" not in self._said and "scenarios" not in self._said:
            yield Tried({}, self._document.at(()))
            return
        yield from self._listed("tests", ("tests",), self._said.get("tests"))
        scenarios = self._said.get("scenarios") or []
        for i, entry in enumerate(scenarios if isinstance(scenarios, list) else [scenarios]):
            place = self._document.at(("scenarios", i))
            one = data(self._folder.file(entry, place)) if isinstance(entry, str) else entry
            if not isinstance(one, dict):
                raise BadInput(f"{place}: a scenario is a mapping with config and tests.")
            settings = list(self._listed("config", ("scenarios", i, "config"), one.get("config")))
            tests = list(self._listed("tests", ("scenarios", i, "tests"), one.get("tests"))) or [Tried({}, place)]
            for setting, test in itertools.product(settings, tests):
                yield Tried(_merged(setting.said, test.said), test.place)

    def _listed(self, what: str, path: tuple[str | int, ...], said: Json) -> Iterator[Tried]:
        """A list of tests; a name among them stands for those in its file."""
        if said is None:
            return
        listed = said if isinstance(said, list) else [said]
        if not listed:
            raise BadInput(f"{self._document.at(path)}: {what} must be a list with at least one entry.")
        for i, one in enumerate(listed):
            place = self._document.at((*path, i) if isinstance(said, list) else path)
            if isinstance(one, str):
                yield from self._in_files(one, place)
            elif isinstance(one, dict) and isinstance(one.get("path"), str):
                yield from self._in_files(str(one["path"]), place)
            elif isinstance(one, dict):
                yield Tried(one, place)
            else:
                raise BadInput(f"{place}: a test is a mapping with vars and assert, or file://NAME.")

    def _in_files(self, said: str, place: str) -> Iterator[Tried]:
        if (code := self._folder.code(said, place, "generate_tests", "create_tests")) is not None:
            self._reading.runs.add(code.language)
            made = self._reading.at.programs.call(code)
            if not isinstance(made, list) or any(not isinstance(one, dict) for one in made):
                raise BadInput(f"{place}: {said} must give a list of tests.")
            yield from (Tried(cast("dict[str, Json]", one), f"{place} test {n}") for n, one in enumerate(made, start=1))
            return
        for path in self._folder.files(said, place):
            for n, one in enumerate(records(path, place), start=1):
                test = csv_test(one) if path.suffix == ".csv" else one
                yield Tried(test, f"{path.name}: test {n}")

    def _grid(self, test: Mapping[str, Json], place: str) -> list[dict[str, Json]]:
        """One mapping for each combination of the lists of texts among the vars."""
        said = test.get("vars") or {}
        if isinstance(said, str):
            said = data(self._folder.file(said, place))
        if not isinstance(said, dict):
            raise BadInput(f"{place}: vars must be a mapping of names to values, or file://NAME.yaml.")
        whole = _mapping(test, "options", place).get("disableVarExpansion") is True
        choices: list[list[Json]] = []
        for name, value in said.items():
            expands = isinstance(value, list) and bool(value) and isinstance(value[0], str) and not whole
            many = cast("list[Json]", value) if expands else self._spread(value, place)
            choices.append([self._value(one, name, place) for one in many])
        return [dict(zip(said, one, strict=True)) for one in itertools.product(*choices)]

    def _spread(self, value: Json, place: str) -> list[Json]:
        """A pattern of files stands for each of them."""
        if isinstance(value, str) and value.startswith(FILE) and "*" in value:
            return [f"{FILE}{one.relative_to(self._folder.path)}" for one in self._folder.files(value, place)]
        return [value]

    def _value(self, value: Json, name: str, place: str) -> Json:
        if isinstance(value, str) and (
            code := self._folder.code(value, place, "get_var") if value.startswith(FILE) else None
        ):
            self._reading.runs.add(code.language)
            found = self._reading.at.programs.call(code, name, "", {})
            return found.get("output") if isinstance(found, dict) and "output" in found else found
        return self._folder.value(value, place)


def _merged(default: Mapping[str, Json], test: Mapping[str, Json]) -> dict[str, Json]:
    """A test with what it has by default: vars and options one by one, its assertions after those of the default."""
    found: dict[str, Json] = {**default, **test}
    for key in ("vars", "options", "metadata"):
        pair = [one for one in (default.get(key), test.get(key)) if one is not None]
        if len(pair) == 2 and all(isinstance(one, dict) for one in pair):
            found[key] = {**cast("dict[str, Json]", pair[0]), **cast("dict[str, Json]", pair[1])}
        elif pair:
            found[key] = pair[-1]
    options = found.get("options")
    alone = isinstance(options, dict) and options.get("disableDefaultAsserts") is True
    pair = [default.get("assert"), test.get("assert")] if not alone else [test.get("assert")]
    if all(isinstance(one, list) or one is None for one in pair):
        found["assert"] = [one for several in pair for one in cast("list[Json]", several or [])]
    return found


def _mapping(test: Mapping[str, Json], key: str, place: str) -> dict[str, Json]:
    found = test.get(key) or {}
    if not isinstance(found, dict):
        raise BadInput(f"{place}: {key} must be a mapping.")
    return found


def _asserts(test: Mapping[str, Json], place: str) -> list[dict[str, Json]]:
    found = test.get("assert") or []
    if not isinstance(found, list) or any(not isinstance(one, dict) or "type" not in one for one in found):
        raise BadInput(
            f"{place}: assert must be a list of mappings with a type, such as {{type: equals, value: Paris}}."
        )
    return cast("list[dict[str, Json]]", found)


def csv_test(row: Mapping[str, Json]) -> dict[str, Json]:
    """A row of CSV: columns are vars; `__expected` (and `__expected1`, ...) an assertion, other `__` columns what they say."""
    values: dict[str, Json] = {key: value for key, value in row.items() if not key.startswith("__")}
    told = {key[2:]: str(value or "").strip() for key, value in row.items() if key.startswith("__")}
    asserts: list[dict[str, Json]] = [
        expected(said) for key, said in told.items() if key.startswith("expected") and said
    ]
    made: dict[str, Json] = {"vars": values}
    metadata: dict[str, Json] = {}
    for key, said in told.items():
        if not said or re.fullmatch(r"expected\d*", key):
            continue
        if key == "metric":
            asserts = [{**one, "metric": said} for one in asserts]
        elif key == "threshold":
            made["threshold"] = _limit(said)
        elif key == "description":
            made["description"] = said
        elif key.startswith("metadata:"):
            metadata[key.removeprefix("metadata:")] = said
        elif (config := re.fullmatch(r"config:expected(\d*):(\w+)", key)) is not None and config[2] in _EXPECTED_KEYS:
            place = max(0, int(config[1] or 1) - 1)
            value: Json = _limit(said) if config[2] == "threshold" else said
            asserts = [{**one, config[2]: value} if i == place else one for i, one in enumerate(asserts)]
        else:
            made[f"__{key}"] = said
    made["assert"] = cast("Json", asserts)
    return {**made, "metadata": metadata} if metadata else made


def _limit(said: str) -> Json:
    try:
        return float(said)
    except ValueError:
        return said


def expected(said: str) -> dict[str, Json]:
    """What a cell of `__expected` means: `contains: x`, `similar(0.8): x`, code in a file; else the whole text is equalled."""
    if said.startswith((FILE, "python:", "javascript:")):
        kind, _, code = ("", "", said) if said.startswith(FILE) else said.partition(":")
        kind = kind or ("python" if ".py" in code else "javascript")
        return {"type": kind, "value": code.strip()}
    found = _KIND.fullmatch(said)
    if found is None:
        bare = said.removeprefix("not-") in {*VALUELESS} - {*LIMITED}
        return {"type": said} if bare else {"type": "equals", "value": said}
    kind, limit, value = found["kind"], found["limit"], found["value"].strip()
    kind = _OLD.get(kind, kind)
    made: dict[str, Json] = {"type": kind}
    base = kind.removeprefix("not-")
    if base not in ("cost", "latency"):
        made["value"] = [one.strip() for one in value.split(",")] if kind.endswith(("-any", "-all")) else value
    if limit or base in _LIMITS:
        made["threshold"] = float(limit) if limit else _LIMITS[base]
    return made
