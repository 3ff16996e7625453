"""The assertions of a promptfoo file, read: which run, with what, and why others are skipped."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from afere.base.artifact import slug
from afere.base.canonical import Json
from afere.base.errors import BadInput
from afere.base.rule import BUILTIN
from afere.evals.promptfoo.checks import CHECKS, LIMITED, VALUELESS
from afere.evals.promptfoo.conversed import CONVERSED
from afere.evals.promptfoo.files import FILE
from afere.evals.promptfoo.graded import GRADED, Grader
from afere.evals.promptfoo.grounded import GROUNDED
from afere.evals.promptfoo.programs import NO_NODE, Code, language_of, node
from afere.evals.promptfoo.providers import NoSuchProvider, Place, Provider, provider_of

PROGRAMS = ("python", "javascript")
SETS = "assert-set"
EUCLIDEAN = "similar:euclidean"
SIMILAR = ("similar", "similar:cosine", "similar:dot", EUCLIDEAN)
WEBHOOK = "webhook"
BEST = "select-best"
HIGHEST = "max-score"
COMPARED = (BEST, HIGHEST)  # they look at all answers to a test
ASKED = (*GROUNDED, CONVERSED)  # of a model, in our words
KINDS = (*CHECKS, *GRADED, *ASKED, *SIMILAR, *PROGRAMS, *COMPARED, WEBHOOK, SETS)
_READ = (
    "type",
    "value",
    "threshold",
    "weight",
    "metric",
    "provider",
    "rubricPrompt",
    "config",
    "assert",
    "transform",
    "contextTransform",
)
_OTHERWISE = {
    "meteor": "it needs WordNet",
    "is-sql": "it needs a strict parser of SQL; a `javascript` assertion can call node-sql-parser",
    "contains-sql": "it needs a strict parser of SQL; a `javascript` assertion can call node-sql-parser",
    "classifier": "it needs a classifier of Hugging Face; a `python` assertion can call one",
    "moderation": "it sends outputs to a service of moderation; here `guard`",
    "guardrails": "it reads what a provider's own guardrails said",
    "pi": "it sends outputs to a service of its own; here `llm-rubric`",
    "search-rubric": "its grader must search the web",
    "agent-rubric": "its grader must be an agent",
    "ruby": "Ruby does not run here; a `python` assertion does",
}
_ADDRESS = ("http://", "https://", "{{")
_VALUELESS = (*VALUELESS, "context-faithfulness", "context-relevance", "answer-relevance", CONVERSED, HIGHEST)
_POINTS = ("disagree", "subset", "superset", "agree", "differButFactual")


def kind_of(one: Mapping[str, Json]) -> str:
    return str(one["type"]).removeprefix("not-")


def label_of(one: Mapping[str, Json]) -> str:
    """The measure that an assertion counts in: its metric, else its type."""
    made = slug(str(one.get("metric") or one["type"]))
    made = made if made[:1].isalpha() else f"m-{made}"
    return f"{made}-assert" if made in (*BUILTIN, "passed") else made


@dataclass
class Reading:
    """Reads the assertions of a file and counts them; graders that it meets are kept by the name that rows call them by."""

    at: Place
    graders: dict[str, Grader] = field(default_factory=dict[str, Grader])
    codes: dict[str, Code] = field(default_factory=dict[str, Code])
    kept: int = 0
    skipped: Counter[str] = field(default_factory=Counter[str])
    runs: set[str] = field(default_factory=set[str])
    unread: list[str] = field(default_factory=list[str])
    sent: set[str] = field(default_factory=set[str])  # where webhooks send outputs

    def read(
        self, said: list[dict[str, Json]], options: Mapping[str, Json], place: str, *, inner: bool = False
    ) -> tuple[list[Json], list[Json]]:
        """Those that run, as rows keep them, and why each of the others does not. `inner`: they stand in a set."""
        ready: list[Json] = []
        lost: list[Json] = []
        for one in said:
            if kind_of(one) == SETS and isinstance(one.get("assert"), list):
                held, missing = self.read(cast("list[dict[str, Json]]", one["assert"]), options, place, inner=True)
                if held:
                    ready.append({**one, "assert": held})
                lost += missing
                continue
            reason = self._why_not(one, options) or _no_comparison(one, said, inner)
            try:
                made = None if reason else self._ready(one, options, place)
            except NoSuchProvider as problem:
                reason, made = f"{one['type']} (its grader: {str(problem).removeprefix(f'{place}: ')})", None
            if made is None:
                self.skipped[reason] += 1
                lost.append(reason)
            else:
                self.kept += 1
                ready.append(made)
        return ready, lost

    def _why_not(self, one: Mapping[str, Json], options: Mapping[str, Json]) -> str:
        kind, value, limit = kind_of(one), one.get("value"), one.get("threshold")
        more = sorted(set(one) - set(_READ))
        javascript = kind == "javascript" or (
            isinstance(value, str)
            and language_of(self.at.folder.split(value)[0]) == "javascript"
            and value.startswith(FILE)
        )
        own = kind in GRADED and bool(one.get("rubricPrompt") or options.get("rubricPrompt"))
        limited = kind in LIMITED or limit is not None
        reasons = (
            (kind not in KINDS, _OTHERWISE.get(kind, "this type is not read")),
            (bool(more), f"its option {', '.join(more)} is not read"),
            (javascript and node() is None, NO_NODE),
            (
                kind in ASKED and bool(one.get("rubricPrompt") or options.get("rubricPrompt")),
                "it is asked in our words: a rubricPrompt of its own is not read",
            ),
            (value is None and not own and kind not in (*_VALUELESS, SETS), "it has no value"),
            (kind == WEBHOOK and not str(value).startswith(_ADDRESS), "its value must be an address: https://..."),
            (kind in PROGRAMS and not isinstance(value, str), "its value must be code or file://NAME"),
            (
                limited and (isinstance(limit, bool) or not isinstance(limit, int | float)),
                "it needs a number as threshold",
            ),
            (not isinstance(one.get("weight", 1), int | float), "its weight must be a number"),
        )
        return next((f"{one['type']} ({reason})" for wrong, reason in reasons if wrong), "")

    def _ready(self, one: dict[str, Json], options: Mapping[str, Json], place: str) -> dict[str, Json]:
        """As rows keep it: what is in files is in it, its grader and its program are named."""
        kind, folder = kind_of(one), self.at.folder
        made = {key: value for key, value in one.items() if key not in ("provider", "rubricPrompt", "transform")}
        value = made.get("value")
        if kind in PROGRAMS:
            made["code"] = self._code(kind, str(value), place)
        elif isinstance(value, str) and value.startswith(FILE) and (code := folder.code(value, place, "get_assert")):
            made["code"] = self._keep(code, str(value))
        elif kind not in (*GRADED, *ASKED, *SIMILAR) or isinstance(value, str):
            made["value"] = (
                [folder.value(each, place) for each in value] if isinstance(value, list) else folder.value(value, place)
            )
        if kind == WEBHOOK:
            self.sent.add(str(value).split("?")[0])
        if (transform := one.get("transform")) is not None:
            made["transform"] = transform
        if kind in (*GRADED, *ASKED, BEST):
            made["grader"] = self._grader(one, options, place)
        if kind in ASKED and (asked := self.graders[str(made["grader"])].provider) is not None and asked.model is None:
            raise NoSuchProvider(f"{place}: a program; it must be a model")
        if kind in SIMILAR or kind == "answer-relevance":
            made["embedder"] = _embedder(one.get("provider") or options.get("provider"))
        return made

    def _code(self, kind: str, said: str, place: str) -> str:
        if said.startswith(FILE):
            code = self.at.folder.code(said, place, "get_assert")
            if code is None:
                raise BadInput(f"{place}: {said} is no .py or .js file.")
        else:
            code = Code("python" if kind == "python" else "javascript", said, names=("output", "context"))
        return self._keep(code, said)

    def _keep(self, code: Code, said: str) -> str:
        self.codes[said] = code
        self.runs.add(code.language)
        return said

    def _grader(self, one: Mapping[str, Json], options: Mapping[str, Json], place: str) -> str:
        """Who grades: the assertion's own provider and prompt, else those of the test's options."""
        said = one.get("provider") or options.get("provider")
        if isinstance(said, dict) and "text" in said:
            said = said["text"]
        prompt = self.at.folder.value(one.get("rubricPrompt") or options.get("rubricPrompt"), place)
        if isinstance(prompt, list) and all(isinstance(each, str) for each in prompt):
            prompt = "\n".join(cast("list[str]", prompt))
        points = options.get("factuality")
        held = dict(zip(_POINTS, (0.0, 1.0, 1.0, 1.0, 1.0), strict=True))
        held |= cast("dict[str, float]", points) if isinstance(points, dict) else {}
        provider: Provider | None = None
        if said is not None:
            provider = provider_of(said, self.at, place)
            self.runs.update(provider.runs)
            self.unread += provider.unread
        found = Grader(provider, prompt, tuple(held[name] for name in _POINTS))
        name = next(
            (name for name, known in self.graders.items() if known.content == found.content),
            f"grader {len(self.graders) + 1}",
        )
        self.graders.setdefault(name, found)
        return name


def _no_comparison(one: Mapping[str, Json], said: Sequence[Mapping[str, Json]], inner: bool) -> str:
    """Why an assertion that compares all answers to a test cannot do so; empty where it can, or is none."""
    kind = str(one["type"])
    if kind_of(one) not in COMPARED:
        return ""
    first = next(other for other in said if other["type"] == kind)
    reasons = (
        (inner, "it compares whole tests, so it cannot stand in a set"),
        (kind not in COMPARED, "it cannot be negated"),
        (first is not one, "only the first of a test counts"),
        (kind == BEST and not isinstance(one.get("value"), str), "its value must be the criteria, as text"),
        (
            kind == HIGHEST and all(other["type"] in (*COMPARED, SETS) for other in said),
            "it needs another assertion beside it, in no set, whose scores it compares",
        ),
        (
            kind == HIGHEST and not _weighs(one.get("value")),
            "its value is {method: average or sum, weights: {TYPE: number from 0}, threshold: number}",
        ),
    )
    return next((f"{kind} ({reason})" for wrong, reason in reasons if wrong), "")


def _weighs(value: Json) -> bool:
    """Whether this can be the value of `max-score`."""
    said = {} if value is None else value
    if not isinstance(said, dict) or said.get("method", "average") not in ("average", "sum"):
        return False
    weights = said.get("weights") or dict[str, Json]()
    if not isinstance(weights, dict):
        return False
    numbers = [*weights.values(), said.get("threshold") or 0]
    return all(isinstance(one, int | float) and not isinstance(one, bool) and one >= 0 for one in numbers)


def _embedder(said: Json) -> str:
    """The embedder that a provider names; `local` where none does."""
    said = said.get("embedding") if isinstance(said, dict) else said
    said = said.get("id") if isinstance(said, dict) else said
    named = re.fullmatch(r"(openai|ollama):(?:embeddings?:)(.+)", said) if isinstance(said, str) else None
    return f"{named[1]}:{named[2]}" if named else "local"
