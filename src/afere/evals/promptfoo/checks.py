"""promptfoo's assertions that need neither a model nor a program: what they say of one output."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from afere.base.canonical import Json
from afere.base.document import read_yaml, schema_problem
from afere.base.span import Trace
from afere.chains.calls import CACHED
from afere.evals.promptfoo import markup, traced
from afere.evals.promptfoo.held import Held, held, unknown
from afere.evals.scorers.nearness import levenshtein
from afere.evals.scorers.text import as_text

_LISTED = re.compile(r'(".*?"|[^,]+)(?=\s*,|\s*$)')
_JSON = re.compile(r"[\[{]")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_ORDERS = 4  # of BLEU
LOGPROB = "afere.logprob"  # attribute of a model's span: the mean natural logarithm of its tokens' probabilities


@dataclass(frozen=True, slots=True)
class Seen:
    """What an assertion is about: the output, its text, the run's trace, and the functions that the model was offered."""

    output: Json
    trace: Trace | None
    tools: Sequence[dict[str, Json]] = ()

    @property
    def text(self) -> str:
        return as_text(self.output)


Check = Callable[[Json, "float | None", Seen], Held]  # of a value and a threshold


def _equals(value: Json, _limit: float | None, seen: Seen) -> Held:
    if isinstance(value, dict | list):
        return held(_whole(seen.text) == [value])
    return held(as_text(value) == seen.text)


def _contains(any_of: bool | None, fold: bool) -> Check:
    """`any_of` None: of one text, else of a list (a text with commas is one)."""

    def check(value: Json, _limit: float | None, seen: Seen) -> Held:
        said = seen.text.lower() if fold else seen.text
        if any_of is not None and isinstance(value, str):
            value = [one.strip().strip('"') for one in _LISTED.findall(value)]
        texts = [as_text(one) for one in (value if isinstance(value, list) else [value])]
        missing = [one for one in texts if (one.lower() if fold else one) not in said]
        return held(
            len(missing) < len(texts) if any_of else not missing,
            why=f"not found: {', '.join(missing[:3])}" if missing else "",
        )

    return check


def _starts(value: Json, _limit: float | None, seen: Seen) -> Held:
    return held(seen.text.startswith(as_text(value)))


def _regex(value: Json, _limit: float | None, seen: Seen) -> Held:
    try:
        return held(re.search(as_text(value), seen.text) is not None)
    except re.error as problem:
        return unknown(f"the pattern {as_text(value)!r} cannot be read: {problem}")


def _is_json(value: Json, _limit: float | None, seen: Seen) -> Held:
    return _fits(_whole(seen.text), value, "the output is no JSON")


def _contains_json(value: Json, _limit: float | None, seen: Seen) -> Held:
    return _fits(_jsons(seen.text), value, "the output holds no JSON")


def _fits(found: list[Any], schema: Json, none: str) -> Held:
    """Whether one of the values fits the JSON Schema, which may be written as text."""
    if isinstance(schema, str):
        schema = read_yaml(schema, file="value").value if schema.strip() else None
    if not found or schema is None:
        return held(bool(found), why="" if found else none)
    problems = [schema_problem(one, cast("dict[str, Json]", schema)) for one in found]
    return held(None in problems, why=next((one for one in problems if one), ""))


def _levenshtein(value: Json, limit: float | None, seen: Seen) -> Held:
    away = levenshtein(seen.text, as_text(value))
    return held(away <= (5 if limit is None else limit), why=f"distance {away:g}")


def _bleu(value: Json, limit: float | None, seen: Seen) -> Held:
    references = [as_text(one).lower().split() for one in (value if isinstance(value, list) else [value])]
    return _at_least(bleu(seen.text.lower().split(), references), 0.5 if limit is None else limit)


def bleu(said: list[str], references: list[list[str]]) -> float:
    """BLEU of one text, 0 to 1 (Papineni et al. 2002), on words between spaces, an order without a match counted as 1e-7:
    as promptfoo, but for its penalty of short texts, which there rewards them."""
    if not said:
        return 0.0
    shares: list[float] = []
    for n in range(1, _ORDERS + 1):
        mine = _grams(said, n)
        best = max((mine & _grams(one, n)).total() for one in references)
        shares.append(best / mine.total() if mine and best else 1e-7)
    nearest = min((len(one) for one in references), key=lambda n: abs(n - len(said)))
    short = 1.0 if len(said) > nearest else math.exp(1 - nearest / len(said))
    return short * math.exp(math.fsum(map(math.log, shares)) / _ORDERS)


def _grams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[i:] for i in range(n)), strict=False))


def _gleu(value: Json, limit: float | None, seen: Seen) -> Held:
    """Google's BLEU (Wu et al. 2016): of all groups of 1 to 4 words, the smaller of precision and recall; of several texts the best."""

    def groups(text: str) -> Counter[tuple[str, ...]]:
        words = [word.rstrip(".") for word in text.lower().split()]
        return Counter(gram for n in range(1, _ORDERS + 1) for gram in _grams(words, n).elements())

    mine = groups(seen.text)
    others = [groups(as_text(one)) for one in (value if isinstance(value, list) else [value])]
    best = max((mine & one).total() / max(mine.total(), one.total(), 1) for one in others)
    return _at_least(best, 0.5 if limit is None else limit)


def _rouge(value: Json, limit: float | None, seen: Seen) -> Held:
    """The F score of single words, by case, as promptfoo's rouge-n is."""
    said, wanted = (Counter(_TOKEN.findall(text)) for text in (seen.text, as_text(value)))
    both = (said & wanted).total()
    share = 2 * both / (said.total() + wanted.total()) if both else 0.0
    return _at_least(share, 0.75 if limit is None else limit)


def _at_least(score: float, limit: float) -> Held:
    return held(score >= limit, score, f"{score:.3f}, at least {limit:g} is asked for")


def _latency(_value: Json, limit: float | None, seen: Seen) -> Held:
    spans = seen.trace.spans if seen.trace else ()
    seconds = (
        None if seen.trace is None or any(CACHED in span.attributes for span in spans) else seen.trace.root.seconds
    )
    if seconds is None:
        return unknown("the latency of this run is not known")
    return held(seconds * 1000 <= cast("float", limit), why=f"{seconds * 1000:.0f} ms")


def _cost(_value: Json, limit: float | None, seen: Seen) -> Held:
    costs = [span.cost for span in (seen.trace.spans if seen.trace else ()) if span.cost is not None]
    if not costs:
        return unknown("the cost of this run is not known")
    return held(sum(costs) <= cast("float", limit), why=f"${sum(costs):.6f}")


def _perplexity(_value: Json, limit: float | None, seen: Seen) -> Held:
    """exp(-m), m the mean log-probability of the answer's tokens (Jelinek et al. 1977): at most the limit."""
    mean = _logprob(seen)
    if mean is None:
        return unknown(_NO_LOGPROBS)
    perplexity = math.exp(min(700.0, -mean))
    return held(limit is None or perplexity <= limit, why=f"perplexity {perplexity:.2f}")


def _perplexity_score(_value: Json, limit: float | None, seen: Seen) -> Held:
    """1 / (1 + perplexity), at least the limit, as promptfoo has it."""
    mean = _logprob(seen)
    return unknown(_NO_LOGPROBS) if mean is None else _at_least(1 / (1 + math.exp(min(700.0, -mean))), limit or 0.0)


_NO_LOGPROBS = "the provider gave no probabilities of its tokens (logprobs)"


def _logprob(seen: Seen) -> float | None:
    """Of the last answer of a model in the run."""
    spans = seen.trace.spans if seen.trace else ()
    said = [value for span in spans if isinstance(value := span.attributes.get(LOGPROB), int | float)]
    return float(said[-1]) if said else None


def _words(value: Json, _limit: float | None, seen: Seen) -> Held:
    count = len(seen.text.split())
    if isinstance(value, dict):
        ends = (float(cast("Any", value.get("min", 0))), float(cast("Any", value.get("max", math.inf))))
    else:
        ends = (float(cast("Any", value)),) * 2
    return held(ends[0] <= count <= ends[1], why=f"{count} words")


def _finish(value: Json, _limit: float | None, seen: Seen) -> Held:
    reasons = [span.finish_reason for span in (seen.trace.spans if seen.trace else ()) if span.finish_reason]
    if not reasons:
        return unknown("the provider gave no finish reason")
    return held(reasons[-1].lower() == as_text(value).lower(), why=f"it is {reasons[-1]}")


def _tools_call(_value: Json, _limit: float | None, seen: Seen) -> Held:
    """Whether the output is calls of functions that were offered, with arguments that fit."""
    said = seen.output.get("tool_calls") if isinstance(seen.output, dict) else seen.output
    said = (_whole(said) or [None])[0] if isinstance(said, str) else said
    if not isinstance(said, list) or not said:
        return held(False, why="the output is no list of tool calls")
    problems = [_call_problem(one, seen.tools) for one in cast("list[Json]", said)]
    return held(not any(problems), why=next((one for one in problems if one), ""))


def _function_call(_value: Json, _limit: float | None, seen: Seen) -> Held:
    """Whether the output is one call, `{name, arguments}`, of a function that was offered, with arguments that fit."""
    said: Json = (_whole(seen.output) or [None])[0] if isinstance(seen.output, str) else seen.output
    inner = said.get("function_call") if isinstance(said, dict) else None
    problem = _call_problem({"function": inner or said}, seen.tools)
    return held(not problem, why=problem)


def _call_problem(call: Json, tools: Sequence[dict[str, Json]]) -> str:
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str):
        return "a tool call has no function with a name"
    offered = next((one for one in tools if one.get("name") == name), None)
    if offered is None:
        return f"no function {name!r} was offered"
    arguments = _whole(str(function.get("arguments") or "{}"))
    if not arguments:
        return f"the arguments of {name} are no JSON"
    schema = offered.get("parameters")
    problem = schema_problem(arguments[0], schema) if isinstance(schema, dict) else None
    return f"the arguments of {name}: {problem}" if problem else ""


def _whole(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError:
        return []


def _jsons(text: str) -> list[Any]:
    """Objects and lists that stand in a text."""
    found, decoder, place = list[Any](), json.JSONDecoder(), 0
    while (begun := _JSON.search(text, place)) is not None and len(found) < 100:
        try:
            value, place = decoder.raw_decode(text, begun.start())
            found.append(value)
        except ValueError:
            place = begun.start() + 1
    return found


CHECKS: dict[str, Check] = {
    "equals": _equals, "contains": _contains(None, fold=False), "icontains": _contains(None, fold=True),
    "contains-any": _contains(True, fold=False), "icontains-any": _contains(True, fold=True),
    "contains-all": _contains(False, fold=False), "icontains-all": _contains(False, fold=True), "starts-with": _starts, "regex": _regex,
    "is-json": _is_json, "contains-json": _contains_json, "levenshtein": _levenshtein, "bleu": _bleu, "rouge-n": _rouge,
    "latency": _latency, "cost": _cost, "word-count": _words, "finish-reason": _finish,
    "is-valid-openai-tools-call": _tools_call, "is-valid-openai-function-call": _function_call,
    "is-valid-function-call": _function_call, "gleu": _gleu, "perplexity": _perplexity, "perplexity-score": _perplexity_score,
    "is-html": lambda _value, _limit, seen: markup.is_html(seen.text),
    "contains-html": lambda _value, _limit, seen: markup.contains_html(seen.text),
    "is-xml": lambda value, _limit, seen: markup.is_xml(seen.text, value),
    "contains-xml": lambda value, _limit, seen: markup.contains_xml(seen.text, value),
    "is-refusal": lambda _value, _limit, seen: markup.is_refusal(seen.text),
    "tool-call-f1": lambda value, limit, seen: traced.tool_call_f1(value, limit, seen.output),
    "trace-span-count": lambda value, _limit, seen: traced.span_count(value, seen.trace),
    "trace-span-duration": lambda value, _limit, seen: traced.span_duration(value, seen.trace),
    "trace-error-spans": lambda value, _limit, seen: traced.error_spans(value, seen.trace),
}  # fmt: skip
VALUELESS = (
    "is-json", "contains-json", "latency", "cost", "is-valid-openai-tools-call", "is-valid-openai-function-call",
    "is-valid-function-call", "is-html", "contains-html", "is-xml", "contains-xml", "is-refusal", "trace-error-spans",
    "perplexity", "perplexity-score",
)  # fmt: skip
LIMITED = ("latency", "cost")  # they need a threshold
