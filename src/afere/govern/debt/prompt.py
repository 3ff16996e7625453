"""Prompt stuffing: prompts too long, only ever added to, at odds with themselves, out of date, untested, of many jobs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import cache
from itertools import pairwise

from minijinja import Environment, TemplateError

from afere.base.clock import rfc3339
from afere.base.message import Usage
from afere.base.prices import context_size, price
from afere.chains.promptschema import SNIPPETS
from afere.govern.debt.contradiction import MOST_HELD, Clash, clashes
from afere.govern.debt.facts import Case, Facts
from afere.govern.debt.finding import Cost, Finding
from afere.govern.debt.jobs import jobs
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.repetition import repeated
from afere.govern.debt.stale import overtaken, retired
from afere.govern.debt.wording import Sentence, content, plain, sentences
from afere.govern.prompts import PromptText, PromptVersion
from afere.models.tokens import count_tokens

_MARK = re.compile(r"^\s*(?:[-*•+\u2013]|\d{1,2}[.)])\s+")
_EVIDENCE = 5
_QUOTED = 90  # characters of an instruction in a finding


def findings(facts: Facts) -> Iterator[Finding]:
    """Every finding of the rules `prompt.*`."""
    likeness = Likeness()
    said = {prompt.name: [one for one in sentences(prompt) if one.role != "assistant"] for prompt in facts.prompts}
    likeness.learn([one.text for own in said.values() for one in own[:MOST_HELD]])
    for prompt in facts.prompts:
        told = said[prompt.name]
        if len(told) > MOST_HELD and (left := _left(prompt, told)) not in facts.problems:
            facts.problems.append(left)
        yield from too_long(facts, prompt)
        yield from growth(facts, prompt)
        yield from append_only(facts, prompt)
        excluded = list(clashes(told, likeness, facts.rules["prompt.contradiction"]["likeness"]))
        yield from contradictions(facts, prompt, excluded)
        yield from repetitions(facts, prompt, told, likeness, excluded)
        yield from dead_variables(facts, prompt)
        yield from stale(facts, prompt, told)
        yield from mixed_topics(facts, prompt, told, likeness)
        yield from unowned(facts, prompt)
    yield from untested(facts, said, likeness)


def _left(prompt: PromptText, told: Sequence[Sentence]) -> str:
    return (
        f"{prompt.place(told[MOST_HELD].line)}: what stands from here on was not held against the rest of the prompt, for contradictions, "
        f"repetitions and several jobs: it has {len(told):,} sentences, and the first {MOST_HELD} are compared. Split it up."
    )


def too_long(facts: Facts, prompt: PromptText) -> Iterator[Finding]:
    """More tokens than are followed, or a large part of the model's context before any data."""
    rule = facts.rules["prompt.too-long"]
    tokens = count_tokens(prompt.text)
    context = context_size(prompt.model) if prompt.model else None
    limit = min(rule["tokens"], rule["share"] * context) if context else rule["tokens"]
    if tokens <= limit:
        return
    since = next((version.at for version in prompt.versions if count_tokens(version.text) > limit), None)
    share = (
        f", {tokens / context:.0%} of the context of {prompt.model}"
        if context and tokens > rule["share"] * context
        else ""
    )
    long = max(_parts(prompt), key=lambda part: part[1])
    yield Finding(
        rule.id, rule.severity, prompt.place(), f"about {tokens:,} tokens before anything is filled in{share}.",
        f"begin at line {long[0]}, its longest part (about {long[1]:,} tokens): move knowledge into an index or dataset, examples into examples:, and jobs of their own into prompts of their own",
        _refs(prompt), since, _paid(facts, prompt, tokens - int(limit)), prompt.owner,
    )  # fmt: skip


def growth(facts: Facts, prompt: PromptText) -> Iterator[Finding]:
    """Larger with each of many versions."""
    rule = facts.rules["prompt.growth"]
    states = _states(prompt)
    sizes = [count_tokens(text) for _, text in states]
    start = max(
        (n for n in range(1, len(sizes)) if sizes[n] < sizes[n - 1]), default=0
    )  # grows since the last time it shrank
    if len(states) - start < rule["versions"] or sizes[start] == 0 or sizes[-1] < rule["factor"] * sizes[start]:
        return
    yield Finding(
        rule.id, rule.severity, prompt.place(),
        f"from {sizes[start]:,} to {sizes[-1]:,} tokens over {len(states) - start} versions since {states[start][0].at[:10]}, and never shorter in between.",
        f"read who added what and why: {_compared(prompt, states[start][0], states[-1][0])}; then take out what no case needs",
        tuple(version.ref for version, _ in states[start:])[:_EVIDENCE], states[min(start + 1, len(states) - 1)][0].at,
        _paid(facts, prompt, sizes[-1] - sizes[start]), prompt.owner,
    )  # fmt: skip


def append_only(facts: Facts, prompt: PromptText) -> Iterator[Finding]:
    """Lines come, none go."""
    rule = facts.rules["prompt.append-only"]
    states = [(version, _lines(text)) for version, text in _states(prompt)]
    if len(states) < rule["versions"]:
        return
    added = taken = changes = 0
    for (_, before), (_, after) in pairwise(states):
        kept = sum(block.size for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks())
        added, taken = added + len(after) - kept, taken + len(before) - kept
        changes += len(after) > kept
    if added < 3 or changes < rule["versions"] - 1 or added / (added + taken) < rule["share"]:
        return
    first, last = states[0][0], states[-1][0]
    yield Finding(
        rule.id, rule.severity, prompt.place(),
        f"in {len(states)} versions {added} lines were added and {taken} taken out or changed.",
        f"see what came when: {_compared(prompt, first, last)}; merge what belongs together and take out what later lines replaced",
        tuple(version.ref for version, _ in states)[:_EVIDENCE], states[1][0].at,
        _paid(facts, prompt, max(0, count_tokens(prompt.text) - count_tokens(first.text))), prompt.owner,
    )  # fmt: skip


def contradictions(facts: Facts, prompt: PromptText, found: Sequence[Clash]) -> Iterator[Finding]:
    """Pairs of instructions of which one must be broken."""
    rule = facts.rules["prompt.contradiction"]
    for clash in found:
        a, b = clash.first, clash.second
        yield Finding(
            rule.id, rule.severity, prompt.place(b.line),
            f"line {a.line} says {_quote(a)}, line {b.line} says {_quote(b)}: they exclude each other ({clash.on}).",
            f"keep one of the two in {prompt.place(b.line)}, or say when which holds",
            (prompt.place(a.line), prompt.place(b.line), *_refs(prompt)[:1]), _since(prompt, b.text), _calls(facts, prompt), prompt.owner,
        )  # fmt: skip


def repetitions(
    facts: Facts, prompt: PromptText, told: Sequence[Sentence], likeness: Likeness, excluded: Sequence[Clash]
) -> Iterator[Finding]:
    """The same instruction again; `excluded` are pairs that contradict each other instead."""
    rule = facts.rules["prompt.repetition"]
    for a, b in repeated(
        told,
        likeness,
        least=rule["likeness"],
        least_words=rule["words"],
        but={(one.first.number, one.second.number) for one in excluded},
    ):
        yield Finding(
            rule.id, rule.severity, prompt.place(b.line), f"line {b.line} says again what line {a.line} says: {_quote(b)}.",
            f"take {prompt.place(b.line)} out",
            (prompt.place(a.line), prompt.place(b.line)), _since(prompt, b.text), _paid(facts, prompt, count_tokens(b.text)), prompt.owner,
        )  # fmt: skip


def dead_variables(facts: Facts, prompt: PromptText) -> Iterator[Finding]:
    """Declared and not used; used and not declared."""
    rule = facts.rules["prompt.dead-variable"]
    if prompt.inputs is None:
        return
    used = variables(prompt.text)
    if used is None:
        return
    if prompt.fields.get(SNIPPETS):
        used -= {SNIPPETS}
    for name in prompt.inputs:
        if name not in used:
            yield Finding(
                rule.id, rule.severity, prompt.at("inputs", name),
                f"the input {name} is declared, and the template never uses it.",
                f"take {name} out of inputs:, or use it as {{{{ {name} }}}}", _refs(prompt), _unused_since(prompt, name),
                _calls(facts, prompt), prompt.owner,
            )  # fmt: skip
    for name in sorted(used - set(prompt.inputs)):
        line = next((number for number, _, text in prompt.lines if "{" in text and name in text), None)
        yield Finding(
            rule.id, rule.severity, prompt.place(line), f"the template uses {name}, which inputs: does not declare.",
            f"declare it (inputs: {{{name}: string}}), or correct the name", _refs(prompt), _since(prompt, name),
            _calls(facts, prompt), prompt.owner,
        )  # fmt: skip


@cache
def variables(text: str) -> frozenset[str] | None:
    """The names a template expects; None where it is no template that can be read."""
    environment = Environment()
    try:
        return frozenset(environment.undeclared_variables_in_str(text)) - {
            "loop",
            "range",
            "namespace",
            "dict",
            "debug",
        }
    except TemplateError:
        return None


def stale(facts: Facts, prompt: PromptText, told: Sequence[Sentence]) -> Iterator[Finding]:
    """Dates, people and models that are over, and examples and snippets that their dataset says otherwise by now."""
    rule = facts.rules["prompt.stale"]
    today = facts.today.date()
    for one in overtaken(told, facts.people, today, rule["days"]):
        yield Finding(
            rule.id, rule.severity, prompt.place(one.line), f"{one.said!r}: {one.why}.", f"{one.fix} in {prompt.place(one.line)}",
            _refs(prompt), one.since, _calls(facts, prompt), prompt.owner,
        )  # fmt: skip
    for name, one in facts.drifts:
        if name == prompt.name and one.since and one.since[:10] <= rfc3339(facts.days_ago(rule["days"]))[:10]:
            yield Finding(
                rule.id, rule.severity, prompt.at(*one.field.split(".")), one.says, one.action, (one.prompt, one.used, one.now),
                one.since, _calls(facts, prompt), prompt.owner,
            )  # fmt: skip
    day = retired(prompt.model, today) if prompt.model else None
    if day:
        yield Finding(
            rule.id, rule.severity, prompt.at("model"), f"its model {prompt.model} was retired on {day}.",
            "choose one that runs: model: NAME in its front matter", _refs(prompt), day, _calls(facts, prompt), prompt.owner,
        )  # fmt: skip


def mixed_topics(facts: Facts, prompt: PromptText, told: Sequence[Sentence], likeness: Likeness) -> Iterator[Finding]:
    """Several jobs in one prompt, and how it could be split."""
    rule = facts.rules["prompt.mixed-topics"]
    found = jobs(
        told,
        likeness,
        least=rule["likeness"],
        parted=rule["parted"],
        sentences=int(rule["sentences"] // rule["topics"]),
    )
    if len(found) < rule["topics"]:
        return
    parts = [
        f"{prompt.name}-{one.name} (lines {_ranges(one.sentences)}: {_quote(one.sentences[0], 50)})" for one in found
    ]
    yield Finding(
        rule.id, rule.severity, prompt.place(found[0].sentences[0].line),
        f"it does {len(found)} jobs that have little to do with each other.",
        f"split it into {'; '.join(parts)}; keep what all need in a file that each includes",
        tuple(prompt.place(one.sentences[0].line) for one in found), None, _paid(facts, prompt, count_tokens(prompt.text) * (len(found) - 1) // len(found)),
        prompt.owner,
    )  # fmt: skip


def unowned(facts: Facts, prompt: PromptText) -> Iterator[Finding]:
    """No owner, or one who is not here."""
    rule = facts.rules["prompt.unowned"]
    if facts.known_owner(prompt.owner) or prompt.seen or not prompt.takes_owner:
        return
    gone = facts.left(prompt.owner) if prompt.owner else None
    why = (
        f"its owner {prompt.owner} left on {gone.left}." if gone
        else f"its owner {prompt.owner} is nobody in people: of afere.yaml." if prompt.owner else "nobody owns it."
    )  # fmt: skip
    severity = rule.severity if facts.names_owners else "note"
    yield Finding(
        rule.id, severity, prompt.at("owner"), why, "write an owner (a team or a person who is here) into its front matter: owner: NAME",
        _refs(prompt), gone.left if gone else prompt.versions[0].at if prompt.versions else None, _calls(facts, prompt),
    )  # fmt: skip


def untested(facts: Facts, said: dict[str, list[Sentence]], likeness: Likeness) -> Iterator[Finding]:
    """Instructions for an occasion that no case brings about. What always holds is exercised by every case."""
    rule = facts.rules["prompt.untested"]
    cases = [case for case in facts.cases if case.text or case.expected]
    for prompt in facts.prompts:
        if not cases:
            if facts.spans and said[prompt.name] and not prompt.seen:
                yield _uncovered(facts, prompt)
            continue
        own = _cases_of(prompt, cases)
        texts = [f"{case.text}\n{case.expected}" for case in own]
        vectors = likeness.vectors([text[:500] for text in texts])
        known = [content(plain(text)) for text in texts]
        general = _general(said[prompt.name], known)
        for one in said[prompt.name]:
            occasion = one.occasion - general or one.occasion
            if not occasion or any(_touches(occasion, known_words) for known_words in known):
                continue
            (vector,) = likeness.vectors([one.condition])
            nearest = max((sum(x * y for x, y in zip(vector, other, strict=True)) for other in vectors), default=0.0)
            if likeness.meaning and nearest >= rule["likeness"]:
                continue
            yield Finding(
                rule.id, rule.severity, prompt.place(one.line), f"none of {len(own)} evaluation cases exercises {_quote(one)}.",
                f"add a case that calls for it to the suite {own[0].suite if own else 'of this prompt'}, or take the instruction out",
                (prompt.place(one.line), *dict.fromkeys(f"suite:{case.suite}" for case in own))[:_EVIDENCE], _since(prompt, one.text),
                _calls(facts, prompt), prompt.owner,
            )  # fmt: skip


def _uncovered(facts: Facts, prompt: PromptText) -> Finding:
    rule = facts.rules["prompt.untested"]
    return Finding(
        rule.id, "note", prompt.place(), "the project has no evaluation case, so that none of its instructions is ever tested.",
        "begin with ten real requests: rows in data/NAME.jsonl and a suite in evals/NAME.yaml (afere init shows both)",
        _refs(prompt), prompt.versions[0].at if prompt.versions else None, _calls(facts, prompt), prompt.owner,
    )  # fmt: skip


def _cases_of(prompt: PromptText, cases: Sequence[Case]) -> list[Case]:
    """Those of suites that aim at this prompt's file, where any do; else all."""
    aimed = [case for case in cases if case.target and prompt.file and case.target.endswith(prompt.file)]
    return aimed or [case for case in cases if not case.target.endswith(".md")] or list(cases)


def _general(told: Sequence[Sentence], cases: Sequence[frozenset[str]]) -> frozenset[str]:
    """Words of the prompt's whole subject, which tell no occasion: those of its first sentence, of many sentences, of many cases."""
    counts = Counter(word for words in cases for word in words)
    common = {word for word, count in counts.items() if count >= max(3, 0.4 * len(cases))}
    spoken = Counter(word for one in told for word in content(one.plain))
    common |= {word for word, count in spoken.items() if count >= max(4, 0.3 * len(told))}
    return frozenset(common | (content(told[0].plain) if told else set()))


def _touches(subject: frozenset[str], words: frozenset[str]) -> bool:
    """Whether a case speaks of what an instruction is about: of half of its words, rounded down, and one at least."""
    return len(subject & words) >= max(1, len(subject) // 2)


def _states(prompt: PromptText) -> list[tuple[PromptVersion, str]]:
    """Its versions, and the file as it stands where that differs from the newest."""
    return [(version, version.text) for version in prompt.versions]


def _compared(prompt: PromptText, first: PromptVersion, last: PromptVersion) -> str:
    """The commands that show two versions."""
    if prompt.seen:
        return f"afere show {first.ref}; afere show {last.ref}"
    return f"afere diff {first.ref} {last.ref}"


def _lines(text: str) -> list[str]:
    """What its lines say, without marks of lists: bullets that came later are no change."""
    return [said for line in text.split("\n") if (said := " ".join(_MARK.sub("", line).split()))]


def _parts(prompt: PromptText) -> list[tuple[int, int]]:
    """(first line, tokens) of each part between titles, roles and blank lines."""
    found: list[tuple[int, int]] = [(prompt.first_line, 0)]
    for number, _, line in prompt.lines:
        if line.startswith("#"):
            found.append((number, 0))
        found[-1] = found[-1][0], found[-1][1] + count_tokens(line)
    return found


def _refs(prompt: PromptText) -> tuple[str, ...]:
    return (prompt.versions[-1].ref,) if prompt.versions else ()


def _since(prompt: PromptText, text: str) -> str | None:
    """When a text first stood in the prompt; it may have been broken over lines there."""
    wanted = " ".join(text.split())
    since: str | None = None
    for version in reversed(prompt.versions):
        if wanted not in " ".join(version.text.split()):
            break
        since = version.at
    return since


def _unused_since(prompt: PromptText, name: str) -> str | None:
    since: str | None = None
    for version in reversed(prompt.versions):
        if name in (variables(version.text) or ()):
            break
        since = version.at
    return since


def _calls(facts: Facts, prompt: PromptText) -> Cost:
    return Cost(calls=len(facts.calls_of(prompt.name)))


def _paid(facts: Facts, prompt: PromptText, tokens: int) -> Cost:
    """What so many tokens in each call cost in the audited window, by the models that were called."""
    calls = facts.calls_of(prompt.name)
    prices = [price(call.model, Usage(tokens, 0), day=call.day[:10]) for call in calls if call.model]
    known = [usd for usd in prices if usd is not None]
    return Cost(len(calls), tokens * len(calls), sum(known) if known else None)


def _quote(said: Sentence, most: int = _QUOTED) -> str:
    return repr(said.text if len(said.text) <= most else said.text[: most - 1] + "…")


def _ranges(told: Sequence[Sentence]) -> str:
    lines = sorted({one.line for one in told})
    return f"{lines[0]} to {lines[-1]}" if len(lines) > 1 else str(lines[0])
