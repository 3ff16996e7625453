"""What a team's store holds after some days: prompts, a chain, datasets, traces of a day, scores, moves of aliases."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import afere
from afere.base.artifact import Artifact, Use
from afere.base.score import Score
from afere.base.span import Span
from afere.store import Session

NASTY = "<script>alert(1)</script><b onclick=alert(2)>bold</b> \"quoted\" & 'single' {{ 7*7 }} {% raw %}"
LONG = "supercalifragilistic" * 250
RTL = "كم يوم إجازة يمكنني ترحيله إلى السنة القادمة؟ " * 20
QUESTIONS = (
    (
        "How many vacation days can I carry over into next year?",
        "You can carry over **up to 5 days** until 31 March [1].",
    ),
    ("Do I need a doctor's note for one sick day?", "No. A note is needed from the third day of sickness [2]."),
    ("What is the daily meal allowance in Lisbon?", "The handbook gives 48 euros per full day for Portugal [1]."),
    ("Can I book the same desk every Tuesday?", "The handbook does not say. Ask the office team."),
    ("Who approves travel above 2,000?", "Your head of department, before booking [3]."),
    ("May I expense a second monitor?", "Yes, up to 250 every three years, with approval of your lead [2]."),
    ("Can my dog come to the office?", "Yes, on floors 1 and 2, when the room agrees [1]."),
    (
        "How do I report a lost laptop?",
        "Call the security desk at once:\n\n1. call\n2. open a ticket within 24 hours\n\n| what | when |\n| --- | ---: |\n| call | now |",
    ),
)
ANSWER = """# system
You answer questions of employees from the handbook passages below. Use only what the passages say.
Cite facts with their passage numbers where possible.
If the passages do not answer the question, say so and name the team to ask.
Always be very polite, professional, friendly and concise.

# user
Passages:
{% for p in passages %}[{{ loop.index }}] {{ p.text }}
{% endfor %}
Question: {{ question }}
"""
PASSAGES = [
    {
        "id": "docs/leave.md#2",
        "text": "Employees may carry over up to 5 vacation days into the following year.",
        "score": 0.871,
    },
    {"id": "docs/leave.md#7", "text": "Days carried over expire on 31 March.", "score": 0.664},
]


def fill(root: Path) -> None:
    """Fill the store of the project in `root`, which is the working directory."""
    with afere.store.open(root / ".afere", project="handbook") as session:
        chain = artifacts(session)
        datasets()
        traces(session, chain)
        awkward(session)
    experiments()
    with afere.span("nightly", kind="step", job="refresh") as span:
        span.input({"folder": "docs/"})
        span.output({"files": 12})
    afere.flush()


def artifacts(session: Session) -> Artifact:
    """Three versions of one prompt, its component and the revision of the chain that uses it."""
    versions = (
        (ANSWER, "first version, from afere init"),
        (
            ANSWER.replace(
                "Cite facts with their passage numbers where possible.", "Cite each fact with its passage number."
            ),
            "cite each fact",
        ),
        (
            ANSWER.replace(
                "Cite facts with their passage numbers where possible.",
                "Cite each fact with its passage number.\nWhen two passages disagree, use the one that is valid today.",
            ).replace("Always be very polite, professional, friendly and concise.\n", ""),
            "say which policy wins; shorter",
        ),
    )
    chain = None
    for template, why in versions:
        prompt = session.put(
            "prompt",
            "answer",
            {
                "template": template,
                "inputs": {"question": {"type": "string"}, "passages": {"type": "array"}},
                "output": None,
            },
            why=why,
        )
        component = session.put(
            "component",
            "answer",
            {"model": "openai:gpt-4.1-mini", "parameters": {"temperature": 0.2}},
            uses=[Use("prompt", prompt.ref, prompt.hash)],
        )
        chain = session.put(
            "chain",
            "qa",
            {"code": {"app.qa": "def qa(question): ..."}},
            uses=[Use("component answer", component.ref, component.hash)],
            why=why,
        )
    session.put(
        "prompt",
        "rewrite",
        {"template": "Rewrite for search: {{ question }}", "inputs": None, "output": None},
        why="first version",
    )
    session.alias("prompt:answer@production", "prompt:answer@2", why="gate 1 passed")
    session.alias("prompt:answer@staging", "prompt:answer@3", why="try the shorter one")
    assert chain is not None
    return chain


def datasets() -> None:
    rows = [
        {
            "id": f"e-{i:03}",
            "input": {"question": q},
            "expected": a,
            "tags": ["edge" if i % 3 == 0 else "average"],
            "split": "test",
        }
        for i, (q, a) in enumerate(QUESTIONS * 9)
    ]
    afere.dataset(rows, name="handbook-eval")
    changed = [dict(row) for row in rows[1:]]
    changed[0]["expected"] = "No, from the third day."
    changed.append(
        {
            "id": "e-100",
            "input": {"question": NASTY},
            "expected": NASTY,
            "tags": ["edge"],
            "metadata": {"asked in": NASTY},
        }
    )
    afere.dataset(changed, name="handbook-eval")


def traces(session: Session, chain: Artifact, count: int = 70) -> None:
    """Runs over a day, newest last; two fail."""
    dice = random.Random(7)
    now = time.time_ns()
    spans: list[Span] = []
    scores: list[Score] = []
    for i in range(count):
        question, answer = QUESTIONS[i % len(QUESTIONS)]
        start = now - int((count - i) * 17 * 60e9)
        took = dice.uniform(0.7, 3.2)
        spans += run(
            f"{i + 1:032x}",
            start,
            took,
            question,
            answer,
            chain,
            failed=i in (20, 41),
            user=f"user:{dice.randint(1, 400)}",
        )
        trace = f"{i + 1:032x}"
        if i % 3 == 0 and i != 41:
            value = None if i % 30 == 0 else dice.random() > 0.15
            scores.append(
                Score(
                    trace,
                    "faithful",
                    value,
                    "judge:faithful@1",
                    "the judge gave no verdict" if value is None else "each claim is in a passage",
                )
            )
        if i % 9 == 0:
            scores.append(
                Score(trace, "helpful", dice.random() > 0.3, f"user:{i}", "HR told me it is 5 since this year")
            )
        if i % 5 == 0:
            scores.append(
                Score(f"{trace}/{_id(i, 3)}", "similarity", round(dice.uniform(0.4, 1), 3), "scorer:similarity@1")
            )
    session.spans.write(spans)
    session.append(*scores)


def _id(trace: int, nth: int) -> str:
    return f"{(trace + 1) * 100 + nth:016x}"


def run(
    trace: str, start: int, took: float, question: str, answer: str, chain: Artifact, *, failed: bool, user: str
) -> list[Span]:
    """A chain that searches, asks a tool and answers."""
    i = int(trace, 16) - 1
    end = start + int(took * 1e9)
    ran = [(chain.ref, chain.hash), *((use.ref, use.hash) for use in chain.uses)]

    def at(share: float) -> int:
        return start + int((end - start) * share)

    error = "TimeoutError: leave_balance did not answer within 10 s" if failed else None
    says = [
        {
            "role": "system",
            "text": "You answer questions of employees from the handbook passages below. " * 12,
            "parts": [],
            "tool_calls": [],
        },
        {"role": "user", "text": question, "parts": [{"type": "text", "text": question}], "tool_calls": []},
        {
            "role": "assistant",
            "text": "",
            "parts": [],
            "tool_calls": [{"id": "c1", "name": "leave_balance", "arguments": {"user": "118", "on": "2026-11-22"}}],
        },
        {
            "role": "tool",
            "text": '{"granted": 28, "left": 8.5}',
            "parts": [],
            "tool_calls": [],
            "name": "leave_balance",
        },
    ]
    return [
        Span(trace, _id(i, 1), "qa", start, None, "chain", end, "error" if failed else "ok", error, input={"question": question},
             output=None if failed else answer, user=user, session=f"s-{i % 12}", environment="production", artifacts=ran[:1]),
        Span(trace, _id(i, 2), "search handbook", at(0.01), _id(i, 1), "retrieval", at(0.1), input={"query": question}, documents=list(PASSAGES), attributes={"k": 4, "index": "handbook@12"}),
        Span(trace, _id(i, 4), "leave_balance", at(0.12), _id(i, 1), "tool", at(0.3), "error" if failed else "ok", error,
             tool={"name": "leave_balance", "arguments": {"user": "118", "on": "2026-11-22"}, "result": None if failed else {"granted": 28, "left": 8.5}}),
        *([] if failed else [
            Span(trace, _id(i, 3), "answer", at(0.31), _id(i, 1), "llm", at(0.99), model="gpt-4.1-mini", response_model="gpt-4.1-mini-2026", provider="openai",
                 input_tokens=1684, output_tokens=61, cached_input_tokens=1152, cost=0.00102, finish_reason="stop", first_token_seconds=took * 0.2,
                 input_messages=list(says), output_messages=[{"role": "assistant", "text": answer, "parts": [], "tool_calls": []}],
                 attributes={"gen_ai.request.temperature": 0.2, "nested": {"list": [1, None, True, "x"]}}, artifacts=ran[1:]),
        ]),
    ]  # fmt: skip


NASTY_TRACE, LONG_TRACE, RTL_TRACE, RUNNING_TRACE = ("a" * 31 + digit for digit in "1234")


def awkward(session: Session) -> None:
    """Texts that break careless pages, and a run that never ended."""
    now = time.time_ns()
    for trace, text in ((NASTY_TRACE, NASTY), (LONG_TRACE, LONG), (RTL_TRACE, RTL)):
        span = "b" * 15 + trace[-1]
        session.spans.write([
            Span(trace, span, text[:200], now - 60_000_000_000, None, "chain", now - 58_000_000_000, input={"question": text}, output=text + "\n\n[x](javascript:alert(1)) ![i](http://example.org/x.png) [ok](https://example.org/\"onmouseover=alert(1))",
                 user=text[:40], session=text[:40], attributes={text[:60]: text}, documents=[{"id": text, "text": text, "score": None}], marks=["cut"],
                 input_messages=[{"role": text[:20], "text": text, "tool_calls": [{"name": text[:30], "arguments": text}]}]),
        ])  # fmt: skip
        session.append(Score(trace, text[:40], text[:60], "person:ines", text))
    session.spans.write(
        [
            Span(
                RUNNING_TRACE,
                "c" * 16,
                "qa",
                now - 30_000_000_000,
                None,
                "chain",
                None,
                "running",
                input="Still running?",
            )
        ]
    )


def experiments() -> None:
    """Evaluations of a small chain: the second against the first, each with a gate; the third against a baseline file."""

    def answer(question: str) -> str:
        with afere.span("search handbook", kind="retrieval"):
            pass
        known = dict(QUESTIONS)
        return known.get(question, "I could not find this.") if len(question) % 3 else "I could not find this."

    def better(question: str) -> str:
        if "dog" in question:
            raise ValueError("no answer about dogs")
        return dict(QUESTIONS).get(question, "I could not find this.")

    @afere.scorer
    def exact(output: str, expected: str) -> bool:
        return output == expected

    @afere.scorer
    def length(output: str) -> float:
        return min(len(output) / 60, 1.0)

    first = afere.evaluate(answer, "dataset:handbook-eval@1", scorers=[exact, length], repeats=2)
    first.gate("exact.mean >= 0.9")
    second = afere.evaluate(
        better, "dataset:handbook-eval@2", scorers=[exact, length], repeats=2, against="experiment:1"
    )
    second.gate(
        "exact.mean >= 0.6",
        "length.mean not worse than experiment:1 by 0.05",
        "exact.mean better than experiment:1 by 0.6",
        "seconds.p95 <= 2",
    )
    first.accept()
    afere.evaluate(_shorter(), "dataset:handbook-eval@1", scorers=[exact, length], against="baseline")


def _shorter() -> Callable[[str], str]:
    """The same chain by name, which knows another part of the answers."""

    def answer(question: str) -> str:
        return dict(QUESTIONS[:3]).get(question, "I could not find this.")

    return answer
