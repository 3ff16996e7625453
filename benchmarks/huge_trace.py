"""What the pages of one huge trace cost: on the server, and in a real browser while it is scrolled.

    python benchmarks/huge_trace.py [SPANS]

Needs the browser Chromium and the development tools of this repository. Times are processor time of the server's side unless they say clock.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import afere.store
from afere.base.span import Span
from afere.server import Server
from afere.server.pages import trace, traces
from afere.server.pages.asked import Asked, as_json
from afere.store import Session

TRACE = "f" * 32
SECOND = 10**9


def spans(count: int) -> Iterator[Span]:
    """An agent's run of half an hour: turns of nine calls, of models, tools and searches, with what each said."""
    start = time.time_ns() - 3600 * SECOND
    whole = 1800 * SECOND
    root, turn = f"{1:016x}", ""
    yield Span(TRACE, root, "agent run", start, None, "agent", start + whole, input="Do all of it", output="It is done")
    for nth in range(2, count + 1):
        begun = start + whole * nth // count
        own = f"{nth:016x}"
        if nth % 10 == 2:
            turn = own
            yield Span(TRACE, own, f"turn {nth // 10}", begun, root, "step", begun + whole * 9 // count)
            continue
        end = begun + whole * 8 // (10 * count)
        if nth % 3 == 0:
            said: list[Any] = [{"role": "user", "text": f"step {nth} " + "words of a question " * 30}]
            yield Span(
                TRACE, own, "plan", begun, turn, "llm", end, model="gpt-4.1-mini", provider="openai", input_tokens=1500,
                output_tokens=60, cost=0.001, input_messages=said, output_messages=[{"role": "assistant", "text": "do it " * 60}],
                attributes={"gen_ai.request.temperature": 0.2, "note": "b" * 200},
            )  # fmt: skip
        elif nth % 3 == 1:
            failed = nth % 4000 == 0
            result: Any = {"name": "lookup", "arguments": {"q": f"{nth}"}, "result": {"text": "found " * 40}}
            yield Span(TRACE, own, "lookup", begun, turn, "tool", end, "error" if failed else "ok", tool=result)
        else:
            found: list[Any] = [{"id": f"d{nth}", "text": "a passage of words " * 20, "score": 0.5}]
            yield Span(TRACE, own, "search", begun, turn, "retrieval", end, documents=found)


def processor(name: str, work: Callable[[], object]) -> None:
    best = min(_spent(work) for _ in range(3))
    print(f"{name:44}{best * 1000:9.1f} ms")


def _spent(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def server_side(session: Session) -> None:
    one = Asked({"trace": TRACE})
    processor("page, read", lambda: trace.page(session, one))
    processor("steps.json", lambda: json.dumps(as_json(trace.steps_page(session, one))))
    processor("one span", lambda: trace.span_page(session, Asked({"trace": TRACE, "span": f"{9:016x}"})))
    processor("list of traces beside it", lambda: traces.page(session, Asked()))


def browser_side(session: Session, count: int) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    server = Server(session, port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        page = started.new_page(viewport={"width": 1440, "height": 900})
        begun = time.perf_counter()
        page.goto(f"{server.url}/traces/{TRACE}")
        print(f"{'page is there (clock)':44}{(time.perf_counter() - begun) * 1000:9.0f} ms")
        page.wait_for_selector(f"html[data-steps='{count}']")
        print(f"{'all steps can be scrolled (clock)':44}{(time.perf_counter() - begun) * 1000:9.0f} ms")
        print(f"{'rows in the page':44}{page.locator('[role=treeitem]').count():9}")
        frames = sorted(page.evaluate(_SCROLL))
        print(
            f"{'scrolled through, frame p50, p95 (clock)':44}{frames[len(frames) // 2]:9.0f} {frames[len(frames) * 19 // 20]:.0f} ms"
        )
        print(f"{'work of the page a frame, p95 (clock)':44}{sorted(page.evaluate(_WORK))[113]:9.1f} ms")
        started.close()
    server.stop()
    thread.join(10)


_SCROLL = """async () => {
  const view = document.querySelector('ol[data-steps]').parentElement, found = [];
  const frame = () => new Promise(requestAnimationFrame);
  let last = await frame();
  for (let nth = 0; nth < 120; nth += 1) {
    view.scrollTop = view.scrollHeight * nth / 120;
    const now = await frame();
    found.push(now - last);
    last = now;
  }
  return found;
}"""
_WORK = """async () => {
  const view = document.querySelector('ol[data-steps]').parentElement, found = [];
  for (let nth = 0; nth < 120; nth += 1) {
    await new Promise(requestAnimationFrame);
    const begun = performance.now();
    view.scrollTop = view.scrollHeight * nth / 120;
    view.dispatchEvent(new Event('scroll'));
    await new Promise(requestAnimationFrame);
    view.getBoundingClientRect();
    await new Promise(resolve => setTimeout(resolve));
    found.push(performance.now() - begun);
  }
  return found;
}"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    with tempfile.TemporaryDirectory() as folder, afere.store.open(Path(folder) / ".afere", project="huge") as session:
        whole = list(spans(count))
        for at in range(0, len(whole), 500):
            session.spans.write(whole[at : at + 500])
        print(f"one trace of {count:,} spans; load {os.getloadavg()[0]:.1f}")
        server_side(session)
        browser_side(session, count)


if __name__ == "__main__":
    main()
