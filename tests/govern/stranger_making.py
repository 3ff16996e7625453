"""Parts that several of the stranger's worlds are made of: a healthy project, small services, prompts that grew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from stranger_kit import Call, Tool, Way, World
from stranger_words import ASKED, lines

USER = "\n# user\n{{ question }}"
SAYS = {"en": "It is settled under number {n}.", "pt": "Fica tratado com o número {n}.", "es": "Queda resuelto con el número {n}."}  # fmt: skip


def released(w: World, name: str = "answer", by: str = "person:ines.vega", ok: str | None = "person:tom.hale", seen: str | None = "person:rui.matos", days: float = 58) -> None:  # fmt: skip
    """Two versions of a prompt by ines, the second in production: moved `by`, approved by `ok`, looked at by `seen`."""
    w.prompt(name, f"# system\nAnswer briefly in {w.lang}.\nName the page that you quote." + USER)
    w.version(days + 20, name, "# system\nAnswer briefly." + USER)
    w.version(days + 5, name, "# system\nAnswer briefly.\nName the page that you quote." + USER)
    if ok:
        w.score(days + 2, f"prompt:{name}@2", "approval", True, ok, "read it")
    w.alias(days, f"{name}@production", f"prompt:{name}@2", by)
    if seen:
        w.score(days - 1, f"prompt:{name}@2", "seen", True, seen)


def thumbs(w: World, count: int, days: tuple[float, float], value: object = True, name: str = "thumbs", by: str = "user:{n}") -> list[str]:  # fmt: skip
    """Feedback on requests of those days, an hour after each; the traces."""
    fit = [(d, t) for d, t in w.traces if days[0] <= d <= days[1]]
    chosen = w.r.sample(fit, count)
    for day, trace in chosen:
        w.score(day - 0.04, trace, name, value, w.fill(by))
    return [trace for _, trace in chosen]


def reviews(w: World, count: int, days: tuple[float, float], by: Sequence[str] = ("ines.vega", "tom.hale"), name: str = "correct", spans: bool = False) -> list[str]:  # fmt: skip
    """Labels of people on requests of those days, in turn."""
    fit = [(d, t) for d, t in w.traces if days[0] <= d <= days[1]]
    chosen = w.r.sample(fit, count)
    for i, (day, trace) in enumerate(chosen):
        target = f"{trace}/{w.roots[trace]}" if spans else trace
        w.score(day - 0.1, target, name, i % 5 > 0, f"person:{by[i % len(by)]}", "read it")
    return [trace for _, trace in chosen]


def judged(w: World, traces: Sequence[str], judge: str, version: int = 1) -> None:
    for i, trace in enumerate(traces):
        w.score(1, trace, judge, i % 4 > 0, f"judge:{judge}@{version}", "by the rubric")


def healthy(w: World) -> None:
    """Feedback of users and of two people, now."""
    thumbs(w, max(6, len(w.traces) // 40), (2, 60))
    reviews(w, 10, (2, 20))


def small(w: World, trade: str, count: int, ways: Sequence[tuple[float, Way, Mapping[str, object]]], weights: Sequence[float] = (3, 3, 3, 3, 3), days: tuple[float, float] = (0.6, 62)) -> None:  # fmt: skip
    """A service without tools: so many requests, of these shares of ways, about the topics of a trade."""
    topics = list(ASKED[w.lang, trade].values())
    plan = [(way, more) for share, way, more in ways for _ in range(round(share * count))]
    for i, (way, more) in enumerate(plan):
        when = days[0] + (days[1] - days[0]) * ((i * 61) % len(plan)) / len(plan)
        topic = w.r.choices(topics, weights)[0]
        w.request(when, way, w.fill(w.r.choice(topic[:3])), w.fill(SAYS[w.lang]), **more)  # type: ignore[arg-type]


def cases(w: World, trade: str, topics: Sequence[int], times: int = 1) -> None:
    """A suite whose rows ask about these topics of a trade."""
    every = list(ASKED[w.lang, trade].values())
    thanks = {"en": "Thank you.", "pt": "Obrigado.", "es": "Gracias."}[
        w.lang
    ]  # no row is word by word what somebody asked
    rows = [
        f"{w.fill(text)} {thanks}"
        for i in topics
        for text in (every[i][3], every[i][0], every[i][1])
        for _ in range(times)
    ]
    w.suite("answer", rows)


def pair(w: World, way: Way, ask: Sequence[str], first: Tool, second: Tool, counts: tuple[int, int], offered: Sequence[Tool]) -> None:  # fmt: skip
    """Alike requests, of which so many go to each of two tools."""
    w.flow(way, [replace(first, ask=ask, calls=counts[0]), replace(second, ask=ask, calls=counts[1])], offered)
    w.tools.update({t.name: t for t in (first, second)})


def both(w: World, way: Way, ask: Sequence[str], first: Tool, second: Tool, count: int, offered: Sequence[Tool]) -> None:  # fmt: skip
    """Alike requests, each of which calls one tool and then the other."""
    for i in range(count):
        calls = [Call(t.name, w._arguments(t)) for t in (first, second)]
        w.request(w.r.uniform(1, 28), way, w.fill(ask[i % len(ask)]), w.fill(SAYS[w.lang]), offered, calls)
    w.tools.update({t.name: t for t in (first, second)})


def long(w: World, name: str, count: int, kept: bool = False) -> None:
    """A prompt of so many instructions, in a file, or in the registry alone."""
    text = "# system\n" + "\n".join(lines(w.lang, count)) + USER
    if kept:
        w.version(20, name, text)
    else:
        w.prompt(name, text)


def grown(w: World, name: str, counts: Sequence[int], how: str = "anew", file: bool = True) -> None:
    """Versions of so many instructions each. how: "anew" (the oldest go), "end" or "between" (lines are only added)."""
    text, kept = "", lines(w.lang, counts[0])
    for i, count in enumerate(counts):
        more = count - len(kept)
        if how == "anew":
            kept = lines(w.lang, count, first=i * 3)
        elif how == "end":
            kept = kept + lines(w.lang, more, first=len(kept))
        elif more > 0:
            half = len(kept) // 2
            kept = kept[:half] + lines(w.lang, more, first=len(kept)) + kept[half:]
        text = "# system\n" + "\n".join(kept) + USER
        w.version(80 - 12 * i, name, text)
    if file:
        w.prompt(name, text)


def sent(w: World, way: Way, counts: Sequence[int], each: int = 4, how: str = "anew") -> None:
    """The same of a system prompt that only traces show."""
    kept: list[str] = []
    for i, count in enumerate(counts):
        kept = lines(w.lang, count, first=i * 3 if how == "anew" else 0)
        for j in range(each):
            now = replace(way, system="\n".join(kept), prompt=None)
            w.request(80 - 14 * i - j, now, w.fill("{n}?"), w.fill(SAYS[w.lang]))
