"""The maps, in order: where several speak of one span, the first that knows a field decides."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

ORDER = (
    "langfuse", "mlflow", "vercel", "langsmith", "adk", "strands", "traceloop", "traceloop_old", "pydantic_ai",
    "openinference", "openlit", "genai", "common",
)  # fmt: skip
FIELDS = (
    "model", "response_model", "provider", "input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens",
    "cost", "finish_reason", "first_token_seconds", "first_token_ms", "first_token_at", "system", "input_messages", "output_messages", "output_text", "output_calls",
    "input", "output", "tool_name", "tool_arguments", "tool_result", "documents", "error", "session", "user",
    "environment", "version", "revision", "prompt_name", "prompt_version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """Where a value is: an attribute; `a.*` its numbered kin (`a.0.b`); `a > b.c` a place inside its JSON; `a + b` their sum."""

    terms: tuple[tuple[str, tuple[str, ...]], ...]
    numbered: bool

    @property
    def plain(self) -> bool:
        """Whether the attribute itself is the value."""
        return not self.numbered and len(self.terms) == 1 and not self.terms[0][1]

    @classmethod
    def parse(cls, text: str) -> Rule:
        """A rule as a map writes it."""
        terms: list[tuple[str, tuple[str, ...]]] = []
        for term in text.split(" + "):
            name, _, path = term.partition(" > ")
            terms.append((name.strip().removesuffix(".*"), tuple(path.strip().split(".")) if path else ()))
        return cls(tuple(terms), text.endswith(".*"))


@dataclass(frozen=True, slots=True)
class Dialect:
    """One map. `signs` are first words of attribute names (before the dot) that say it is spoken."""

    name: str
    title: str
    seen: str
    signs: frozenset[str]
    kinds: dict[str, dict[str, str]]  # attribute -> its value -> our kind
    named: dict[str, str]  # beginning of a span's name -> our kind
    rules: dict[str, tuple[Rule, ...]]
    written: dict[str, tuple[str, ...]]  # the rules as the file has them
    outer: tuple[str, ...]  # ends of names of spans that say "llm" and only surround a call
    content: tuple[str, ...]  # beginnings of names that hold what was said
    names: tuple[str, ...]  # beginnings of names of which short texts name things, beside those that are read


def _load(name: str) -> Dialect:
    text = (files("afere.tracing.dialects.maps") / f"{name}.toml").read_text(encoding="utf-8")
    said = tomllib.loads(text)
    written = {field: tuple(cast("list[str]", rules)) for field, rules in said.get("read", {}).items()}
    unknown = set(written) - set(FIELDS)
    if unknown:
        raise ValueError(f"{name}.toml reads into {', '.join(sorted(unknown))}, which are no fields.")
    rules = {field: tuple(map(Rule.parse, texts)) for field, texts in written.items()}
    return Dialect(
        name, said["title"], said["seen"], frozenset(said["signs"]), said.get("kind", {}), said.get("named", {}), rules,
        written, tuple(said.get("outer", ())), tuple(said.get("content", ())), tuple(said.get("names", ())),
    )  # fmt: skip


MAPS: tuple[Dialect, ...] = tuple(map(_load, ORDER))
