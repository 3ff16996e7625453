"""Configuration that nobody uses any more, or that was copied: two of the hidden debts of machine-learning systems that
Sculley et al. name ("Hidden Technical Debt in Machine Learning Systems", NeurIPS 2015, sections 4 and 6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, cast

from afere.base.canonical import Json
from afere.base.clock import rfc3339
from afere.base.document import read_yaml
from afere.base.errors import AfereError
from afere.chains.promptfiles import ending
from afere.govern.debt.finding import Cost, Finding
from afere.govern.debt.mentions import Mentions, read_mentions
from afere.govern.prompts import PromptText

if TYPE_CHECKING:
    from afere.base.project import Project
    from afere.govern.debt.facts import Facts, Ran
    from afere.store import Session

_SHOWN = 3  # differing parts that a finding names
_IMPLIED = frozenset(["judge", "default"])  # names that are asked for without being written down
_APART = re.compile(
    r"(?:demos?|examples?|tests?|fixtures|archived?|history|versions?|old|v\d+(?:[._]\d+)*)", re.IGNORECASE
)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class SuiteFile:
    """A suite as its file says: its name, what it evaluates, its rows."""

    name: str
    file: str
    target: str
    data: str


@dataclass(frozen=True)
class Configured:
    """What a project's files name, its suites, and when each suite was last run (RFC 3339)."""

    mentions: Mentions = field(default_factory=Mentions)
    suites: tuple[SuiteFile, ...] = ()
    runs: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something that is configured: where, how it is spelt elsewhere, and the calls that used it."""

    kind: str
    name: str
    place: str
    spellings: frozenset[str]
    calls: Sequence[Ran]
    remove: str
    own: str  # the file or entry that says it
    owner: str | None = None


def read_configured(session: Session, project: Project) -> Configured:
    """Read what the project's files name, and which suites were run."""
    return Configured(read_mentions(project), tuple(_suites(project)), _runs(session))


def findings(facts: Facts) -> Iterator[Finding]:
    """Every finding of the rules `config.*`."""
    yield from dead(facts)
    yield from dead_suites(facts)
    yield from copied(facts)
    yield from copied_suites(facts)


def dead(facts: Facts) -> Iterator[Finding]:
    """Prompts and entries of afere.yaml that no file names and no recent request used, while others of their kind were."""
    rule, mentions = facts.rules["config.dead"], facts.configured.mentions
    since = facts.days_ago(rule["days"])
    busy = sum(span.start >= since for span in facts.roots)
    if busy < rule["requests"] or not mentions.whole:
        return
    for entry in _entries(facts):
        if any(call.start >= since for call in entry.calls) or mentions.named(entry.spellings, but=entry.own):
            continue
        last = max((call.start for call in entry.calls), default=None)
        used = f"last used on {rfc3339(last)[:10]}" if last else "used by none of the traces that are kept"
        yield Finding(
            rule.id, rule.severity, entry.place,
            f"The {entry.kind} {entry.name} is {used}, while {busy:,} requests went by in {rule['days']:.0f} days; no code, suite or configuration names it.",
            entry.remove, tuple(dict.fromkeys(call.trace for call in entry.calls[-_SHOWN:])),
            rfc3339(last) if last else None, Cost(calls=0), entry.owner,
        )  # fmt: skip


def _entries(facts: Facts) -> Iterator[_Entry]:
    yield from _prompts(facts)
    yield from _models(facts)
    by_name: dict[str, list[Ran]] = {}
    for span in facts.spans:
        for name in {span.name, span.agent, *span.used}:
            if name:
                by_name.setdefault(name, []).append(span)
    config = facts.project.section
    for name, where in config("chains").items():
        function = str(where).rpartition(":")[2]
        calls = [*by_name.get(name, ()), *by_name.get(f"chain:{name}", ()), *by_name.get(function, ())]
        yield _said("chain", "chains", name, calls)
    for name in config("agents"):
        yield _said("agent", "agents", name, [*by_name.get(name, ()), *by_name.get(f"agent:{name}", ())])
    for name in config("indexes"):
        yield _said("index", "indexes", name, by_name.get(f"index:{name}", ()))
    for name in config("mcp"):
        tools = [card.name for card in facts.tools if card.place == f"MCP server {name}"]
        if tools:  # of a server that was never listed nobody knows which calls are its own
            yield _said("MCP server", "mcp", name, [call for tool in tools for call in facts.tool_calls.get(tool, ())])


def _said(kind: str, section: str, name: str, calls: Iterable[Ran]) -> _Entry:
    own = f"{section}.{name}"
    return _Entry(
        kind, name, f"afere.yaml: {own}", frozenset([name, f"{section}:{name}"]),
        sorted(calls, key=lambda call: call.start), f"take {name} out of {section}: in afere.yaml", own,
    )  # fmt: skip


def _prompts(facts: Facts) -> Iterator[_Entry]:
    """Prompts that have a file and no alias: who fetches one by its alias may leave no trace here."""
    fetched = {move.ref.removeprefix("prompt:").partition("@")[0] for move in facts.moves}
    since = facts.days_ago(facts.rules["config.dead"]["days"])
    if not any(span.prompts and span.start >= since for span in facts.spans):
        return  # traces that name no prompt cannot tell that one is not used
    ran: dict[str, list[Ran]] = {}
    for span in facts.spans:
        for name in span.prompts:
            ran.setdefault(name, []).append(span)
    for one in facts.prompts:
        if one.file is None or one.name in fetched or _apart(one.file):
            continue
        if one.versions and one.versions[0].at > rfc3339(since):
            continue  # it is new
        short, bare = one.file.removeprefix("prompts/"), one.file.removesuffix(ending(Path(one.file)))
        yield _Entry(
            "prompt", one.name, one.file, frozenset([one.name, one.file, short, bare.removeprefix("prompts/"), one.file.rpartition("/")[2]]),
            ran.get(one.name, ()), f"git rm {one.file}: its versions stay in the registry and in git", bare, one.owner,
        )  # fmt: skip


def _models(facts: Facts) -> Iterator[_Entry]:
    """Entries of `models:` of which no call names the model."""
    ran: dict[str, list[Ran]] = {}
    for span in facts.spans:
        if span.model:
            ran.setdefault(_tail(span.model), []).append(span)
    for name, said in facts.project.section("models").items():
        meant = _tail(str(said.get("model") if isinstance(said, dict) else said))
        if name in _IMPLIED or not ran:
            continue
        calls = [call for model, spans in ran.items() if model == name or model.startswith(meant) for call in spans]
        yield _said("model", "models", name, calls)


def _tail(model: str) -> str:
    """`openai:gpt-4.1` and `openai/gpt-4.1` without the provider."""
    return re.split(r"[:/#]", model)[-1]


def dead_suites(facts: Facts) -> Iterator[Finding]:
    """Suites that nobody ran for long and no file runs, while other suites are run here."""
    rule, configured = facts.rules["config.dead-suite"], facts.configured
    since, until = rfc3339(facts.days_ago(rule["days"])), rfc3339(facts.now)
    runs = {name: [at for at in times if at <= until] for name, times in configured.runs.items()}
    recent = sum(at >= since for times in runs.values() for at in times)
    if recent < rule["runs"] or not configured.mentions.whole:
        return
    for suite in configured.suites:
        own = runs.get(suite.name, [])
        spelt = {suite.name, suite.file, suite.file.rpartition("/")[2], "evals"}
        if any(at >= since for at in own) or configured.mentions.named(spelt, but=suite.file.rpartition(".")[0]):
            continue
        last = f"was last run on {max(own)[:10]}" if own else "was never run here"
        yield Finding(
            rule.id, rule.severity, suite.file,
            f"The suite {suite.name} {last}, while others were run {recent} times in {rule['days']:.0f} days; no file names it.",
            f"run it where the others are run: afere eval {suite.file}; or git rm {suite.file}",
            since=max(own, default=None),
        )  # fmt: skip


def copied(facts: Facts) -> Iterator[Finding]:
    """Prompts that are nearly the same text twice: not versions in a folder, and not one text in two languages."""
    rule = facts.rules["config.copied"]
    said = [(one, _lines(one)) for one in facts.prompts if one.file is not None and not _apart(one.file)]
    long = [(one, lines, _shingles(lines)) for one, lines in said if sum(map(_words, lines)) >= rule["words"]]
    for (one, ours, mine), (other, theirs, its) in combinations(sorted(long, key=lambda row: row[0].name), 2):
        if min(len(mine), len(its)) < rule["likeness"] * max(len(mine), len(its)):
            continue
        alike = len(mine & its) / len(mine | its)
        if alike < rule["likeness"]:
            continue
        since = max((at.versions[0].at for at in (one, other) if at.versions), default=None)
        yield Finding(
            rule.id, rule.severity, f"{one.file}, {other.file}",
            f"{one.file} and {other.file} are the same text to {alike:.0%}. {_differences(ours, theirs)}",
            "keep one, and give it an input for what differs; or say in both front matters why there are two, and accept this",
            (one.place(), other.place()), since, Cost(calls=len(facts.calls_of(one.name)) + len(facts.calls_of(other.name))),
            one.owner or other.owner,
        )  # fmt: skip


def copied_suites(facts: Facts) -> Iterator[Finding]:
    """Two suites that ask one target the same rows, from two files."""
    rule = facts.rules["config.copied-suite"]
    asked: dict[str, set[str]] = {}
    for case in facts.cases:
        asked.setdefault(case.suite, set()).add(" ".join(_WORD.findall(case.text.casefold())))
    for one, other in combinations(facts.configured.suites, 2):
        mine, its = asked.get(one.name, set()), asked.get(other.name, set())
        if one.target != other.target or one.data == other.data or min(len(mine), len(its)) < rule["rows"]:
            continue
        alike = len(mine & its) / len(mine | its)
        if alike < rule["share"]:
            continue
        apart = [*sorted(mine - its)[:_SHOWN], *sorted(its - mine)[:_SHOWN]]
        named = "; ".join(f'only one asks "{text[:60]}"' for text in apart[:_SHOWN]) or "No row differs"
        yield Finding(
            rule.id, rule.severity, f"{one.file}, {other.file}",
            f"{one.data} and {other.data} hold the same {len(mine & its)} of {len(mine | its)} rows for {one.target or 'outputs that are there'}. {named}.",
            f"let both read one file (data: {one.data}), or put the scorers of both into one suite", (one.data, other.data),
            cost=Cost(calls=len(mine & its)),
        )  # fmt: skip


def _lines(prompt: PromptText) -> list[str]:
    return [text.strip() for _, _, text in prompt.lines if text.strip()]


def _words(line: str) -> int:
    return len(_WORD.findall(line))


def _shingles(lines: Sequence[str]) -> set[tuple[str, ...]]:
    """Runs of three words, without case and marks."""
    words = _WORD.findall(" ".join(lines).casefold())
    return {tuple(words[at : at + 3]) for at in range(max(1, len(words) - 2))}


def _differences(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """The parts that differ, the first few quoted."""
    steps = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    apart = [(ours[a:b], theirs[c:d]) for kind, a, b, c, d in steps if kind != "equal"]
    if not apart:
        return "No line differs."
    named = "; ".join(f"{_quote(one)} against {_quote(other)}" for one, other in apart[:_SHOWN])
    more = f"; and {len(apart) - _SHOWN} more" if len(apart) > _SHOWN else ""
    return f"They differ in: {named}{more}."


def _quote(lines: Sequence[str]) -> str:
    return f'"{" ".join(lines)[:80]}"' if lines else "nothing"


def _apart(file: str) -> bool:
    """Whether it lies in a folder of demonstrations, tests or earlier versions."""
    return any(_APART.fullmatch(part) for part in file.split("/")[1:-1])


def _suites(project: Project) -> Iterator[SuiteFile]:
    folder = project.root / "evals"
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))) if folder.is_dir() else ():
        label = path.relative_to(project.root).as_posix()
        try:
            value = read_yaml(path.read_text(encoding="utf-8"), file=label).value
        except (AfereError, OSError, UnicodeDecodeError):
            continue  # the reading of its cases names it
        if isinstance(value, dict):
            said = cast("dict[str, Json]", value)
            yield SuiteFile(
                str(said.get("name") or path.stem), label, str(said.get("target") or ""), str(said.get("data") or "")
            )


def _runs(session: Session) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    cursor: str | None = None
    while True:
        page = session.find("artifacts", kind="experiment", limit=200, cursor=cursor)
        for one in page.items:
            if isinstance(one.content, dict) and (name := one.content.get("name")):
                found.setdefault(str(name), []).append(one.at)
        if (cursor := page.next) is None:
            return {name: tuple(times) for name, times in found.items()}
