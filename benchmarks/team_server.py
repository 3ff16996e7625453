"""What a store that a server keeps costs: spans through `AFERE_STORE=http://...`, and a backup of them while it runs.

    python benchmarks/team_server.py [thousands of spans]

Prints CPU milliseconds for 1,000 spans of an LLM call with some 1.2 KB of content, of the program and of the server, and
seconds of CPU for `afere backup`, `restore --check` and `doctor --verify`.
"""

from __future__ import annotations

import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import afere.store
from afere.base.span import Span

AFERE = (sys.executable, "-m", "afere.cli.main")


def main() -> None:
    """Start a server over an empty store, write to it, back it up."""
    thousands = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    with tempfile.TemporaryDirectory() as root:
        os.chdir(root)
        with afere.store.open() as session:
            key = session.actors.create_key("app", project="default", scopes=["write"])[0]
        server = subprocess.Popen([*AFERE, "ui", "--login", "--port", "0", "--json"], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            said += server.stdout.readline()
        os.environ["AFERE_KEY"] = key
        with afere.store.open(f"http://127.0.0.1:{json.loads(said)['port']}") as remote:
            remote.spans.write(thousand())
            mine, theirs = time.process_time(), cpu_of(server.pid)
            for _ in range(thousands):
                remote.spans.write(thousand())
            print(f"program {1000 * (time.process_time() - mine) / thousands:.0f} ms, ", end="")
            print(f"server {1000 * (cpu_of(server.pid) - theirs) / thousands:.0f} ms of CPU for 1,000 spans")
        for command in (["backup", "b.tar"], ["restore", "b.tar", "--check"], ["doctor", "--verify"]):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([*AFERE, *command], stdout=subprocess.DEVNULL, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"afere {' '.join(command)}: {seconds:.1f} s of CPU, start included")
        print(f"the archive: {Path('b.tar').stat().st_size / 1e6:.1f} MB; load {os.getloadavg()[0]:.0f}")
        server.kill()
        server.wait()


def thousand() -> list[Span]:
    """A hundred traces of ten calls, made new."""
    spans: list[Span] = []
    for _ in range(100):
        trace, now = secrets.token_hex(16), time.time_ns()
        ids = [secrets.token_hex(8) for _ in range(10)]
        spans += [
            Span(
                trace, ids[n], f"op {n}", now, kind="llm", end=now + 10**9, parent_id=ids[0] if n else None, status="ok",
                model="gpt-4o", input_tokens=10, output_tokens=20, cost=0.001, attributes={"n": n},
                input_messages=[{"role": "user", "text": "What is the refund policy of this shop? " * 20}],
                output_messages=[{"role": "assistant", "text": f"It is thirty days, {secrets.token_hex(200)}."}],
            )
            for n in range(10)
        ]  # fmt: skip
    return spans


def cpu_of(pid: int) -> float:
    """Seconds of CPU of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
