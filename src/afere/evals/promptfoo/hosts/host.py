"""The child process that calls Python functions of a promptfoo file. Alone: it imports nothing of afere.

A line of JSON in, `{"file", "names", "code", "arguments"}`; a line out, `{"value"}` or `{"error"}`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import inspect
import json
import os
import sys
from typing import Any

_made: dict[str, Any] = {}


def _of_file(file: str, names: list[str]) -> Any:
    if file not in _made:
        sys.path.insert(0, os.path.dirname(file))  # noqa: PTH120 - as Python does for a script
        spec: Any = importlib.util.spec_from_file_location(f"promptfoo_{os.path.basename(file)[:-3]}", file)  # noqa: PTH119
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        _made[file] = module
    for name in names:
        if callable(getattr(_made[file], name, None)):
            return getattr(_made[file], name)
    raise LookupError(f"{os.path.basename(file)} has no function {' or '.join(names)}")  # noqa: PTH119


def _of_code(code: str, names: list[str]) -> Any:
    """One line gives back what it says; several are the body of a function."""
    several = "\n" in code.strip()
    body = "\n".join(f"    {line}" for line in code.split("\n")) if several else f"    return {code.strip()}"
    space: dict[str, Any] = {}
    exec(f"import json\n\ndef main({', '.join(names)}):\n{body}\n", space)  # noqa: S102 - the owner's own code, in this process of its own
    return space["main"]


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    for way in ("model_dump", "item"):  # pydantic, numpy
        if callable(getattr(value, way, None)):
            return getattr(value, way)()
    raise TypeError(f"a {type(value).__name__} is not JSON")


def _answer(asked: dict[str, Any]) -> Any:
    arguments = asked["arguments"]
    if not asked["file"]:
        return _of_code(asked["code"], asked["names"])(*arguments)
    made = _of_file(asked["file"], asked["names"])
    kinds = [one.kind for one in inspect.signature(made).parameters.values()]
    most = sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
    value = made(*(arguments if inspect.Parameter.VAR_POSITIONAL in kinds else arguments[:most]))
    return asyncio.run(value) if inspect.iscoroutine(value) else value


def _serve() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the functions print is no answer
    for line in sys.stdin:
        try:
            said = json.dumps({"value": _answer(json.loads(line))}, default=_plain)
        except BaseException as problem:
            said = json.dumps({"error": f"{type(problem).__name__}: {problem}"})
        out.write(f"{said}\n")
        out.flush()


_serve()
