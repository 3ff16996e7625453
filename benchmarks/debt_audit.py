"""What an audit of debt costs: seconds and memory over many spans, prompts with versions, and tools.

python benchmarks/debt_audit.py [SPANS [PROMPTS]]

Requests of an agent over 80 days: a root, two model calls with messages and tool definitions, and a tool; each prompt has 15
instructions, five versions and a suite of five cases. The audit runs in a process of its own, as `afere debt` does.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import afere.store
from afere.base.span import Span

DAY = 86_400 * 10**9
TOPICS = (
    "refund",
    "delivery",
    "invoice",
    "warranty",
    "address",
    "voucher",
    "return",
    "catalogue",
    "repair",
    "subscription",
)
DEEDS = (
    "explain the steps of the",
    "look up the state of the",
    "ask for the number of the",
    "give the link to the",
    "name the team for the",
)


def prompt(number: int) -> str:
    """A prompt of fifteen instructions, a few of its own."""
    drawn = random.Random(number)
    lines = [
        f"If the customer asks about the {drawn.choice(TOPICS)} of unit {number}-{n}, {drawn.choice(DEEDS)} {drawn.choice(TOPICS)}."
        for n in range(13)
    ]
    return "\n".join(
        [
            "# system",
            f"You are desk {number} of the shop.",
            "Keep answers short and polite.",
            *lines,
            "# user",
            "{{ question }}",
            "",
        ]
    )


def fill(root: Path, spans: int, prompts: int) -> None:
    """A project and its store."""
    (root / "prompts").mkdir()
    (root / "evals").mkdir()
    (root / "data").mkdir()
    tools = [
        {
            "name": f"{topic}_lookup",
            "description": f"Looks up the {topic} of a customer by its number.",
            "parameters": {"type": "object", "properties": {topic: {"type": "string"}}},
        }
        for topic in TOPICS
    ]
    (root / "afere.yaml").write_text("project: bench\nteam: desk\nagents: {desk: {tools: tools.yaml}}\n")
    (root / "tools.yaml").write_text(json.dumps([{**tool, "owner": "desk"} for tool in tools]))
    with afere.store.open(root / ".afere", project="bench") as session:
        for number in range(prompts):
            text = prompt(number)
            (root / f"prompts/p{number}.md").write_text(f"---\nowner: desk\ninputs: {{question: string}}\n---\n{text}")
            rows = [
                json.dumps({"id": str(n), "input": {"question": f"About the {topic} of unit {number}-{n}"}})
                for n, topic in enumerate(TOPICS[:5])
            ]
            (root / f"data/p{number}.jsonl").write_text("\n".join(rows))
            (root / f"evals/p{number}.yaml").write_text(
                f"name: p{number}\ntarget: prompts/p{number}.md\ndata: data/p{number}.jsonl\nscorers: [exact]\n"
            )
            for keep in (6, 9, 12, 15, 18):
                session.put("prompt", f"p{number}", {"template": "\n".join(text.split("\n")[:keep])})
        drawn, batch, now = random.Random(1), list[Span](), time.time_ns()
        for number in range(spans // 4):
            batch += request(drawn, now - int(80 * DAY * number * 4 / spans) - 10**10, number, prompts, tools)
            if len(batch) >= 2_000:
                session.spans.write(batch)
                batch.clear()
        session.spans.write(batch)


def request(drawn: random.Random, start: int, number: int, prompts: int, tools: list[dict[str, object]]) -> list[Span]:
    """Four spans."""
    trace, root = f"{drawn.getrandbits(128):032x}", f"{drawn.getrandbits(64):016x}"
    topic = drawn.choice(TOPICS)
    asked = f"What about the {topic} of order {number}? {' '.join(drawn.choices(TOPICS, k=8))}"
    named = {
        "gen_ai.prompt.name": f"p{number % prompts}",
        "gen_ai.prompt.version": "5",
        "gen_ai.tool.definitions": json.dumps(tools),
        "gen_ai.request.temperature": 0.2,
    }
    found = [
        Span(
            trace,
            root,
            "desk",
            start,
            kind="agent",
            end=start + 3 * 10**9,
            input={"question": asked},
            output="Done.",
            user=f"u{number % 500}",
        )
    ]
    for n in range(2):
        at = start + 10**7 + n * 10**9
        messages = [{"role": "system", "text": prompt(number % 50)}, {"role": "user", "text": asked}]
        found.append(
            Span(
                trace,
                f"{drawn.getrandbits(64):016x}",
                "chat",
                at,
                parent_id=root,
                kind="llm",
                end=at + 9 * 10**8,
                model="gpt-4.1-mini",
                input_messages=messages,
                output="Let me look.",
                input_tokens=900,
                output_tokens=60,
                cost=0.00045,
                attributes=named,
            )
        )
    at = start + int(2.1e9)
    found.append(
        Span(
            trace,
            f"{drawn.getrandbits(64):016x}",
            f"{topic}_lookup",
            at,
            parent_id=root,
            kind="tool",
            end=at + 5 * 10**8,
            tool={"name": f"{topic}_lookup", "arguments": {topic: number}},
            output="ok",
        )
    )
    return found


def main() -> None:
    spans, prompts = (
        (int(word) for word in (*sys.argv[1:], "100000", "200")[:2]) if len(sys.argv) != 2 else (int(sys.argv[1]), 200)
    )
    with tempfile.TemporaryDirectory() as folder:
        root, start = Path(folder), time.monotonic()
        fill(root, spans, prompts)
        print(f"{spans:,} spans, {prompts} prompts, written in {time.monotonic() - start:.0f} s", flush=True)
        start = time.monotonic()
        said = subprocess.run(
            [sys.executable, "-m", "afere.cli.main", "debt", "--json"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        seconds, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        found = json.loads(said.stdout)
        print(
            f"{seconds:.1f} s ({used.ru_utime + used.ru_stime:.1f} s of CPU), {used.ru_maxrss / 1024:.0f} MB, {len(found['findings'])} findings, score {found['score']}"
        )


if __name__ == "__main__":
    main()
