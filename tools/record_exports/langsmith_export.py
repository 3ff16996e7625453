"""Write langsmith.jsonl with known content: `python langsmith_export.py` where langsmith 0.15 is installed.

Its own client sends runs and feedback to a small server here, lists them from it again, and writes one a line, as its users
export them. The file is tests/exchange/exports/langsmith-0.15.jsonl.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import contextlib
import json
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from langsmith import Client, traceable
from langsmith.run_helpers import get_current_run_tree, tracing_context

RUNS: dict[str, dict] = {}
FEEDBACK: list[dict] = []
SESSION = str(uuid.uuid4())
LIMITS = {
    "use_multipart_endpoint": False, "size_limit": 100, "size_limit_bytes": 2**24, "scale_up_nthreads_limit": 1,
    "scale_up_qsize_trigger": 1000, "scale_down_nempty_trigger": 4,
}  # fmt: skip


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/info"):
            return self.say({"version": "0.13", "batch_ingest_config": LIMITS})
        return self.say(FEEDBACK if self.path.startswith("/feedback") else [])

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith("/runs/batch"):
            for run in (*said.get("post", []), *said.get("patch", [])):
                RUNS.setdefault(run["id"], {"session_id": SESSION}).update(
                    {key: value for key, value in run.items() if value is not None}
                )
        elif self.path.startswith("/feedback"):
            FEEDBACK.append(said)
        elif self.path.startswith("/runs/query"):
            return self.say({"runs": [whole(run) for run in RUNS.values()], "cursors": {}})
        return self.say({})

    def say(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def whole(run: dict) -> dict:
    """What the service adds to a run: the counts of tokens, from what the run says, and no word of the machine."""
    usage = ((run.get("extra") or {}).get("metadata") or {}).get("usage_metadata") or {}
    extra = {key: value for key, value in (run.get("extra") or {}).items() if key != "runtime"}
    return {
        **run, "extra": extra, "status": "error" if run.get("error") else "success",
        "prompt_tokens": usage.get("input_tokens"), "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
    }  # fmt: skip


@traceable(run_type="retriever")
def find(question: str) -> list[dict]:
    return [{"page_content": "Notice is four weeks.", "type": "Document", "metadata": {"source": "notice.md"}}]


@traceable(run_type="tool")
def lookup(name: str) -> dict:
    if name == "bad":
        raise ValueError("no such person")
    return {"tenure": 3}


@traceable(run_type="llm", name="llm", metadata={"ls_provider": "openai", "ls_model_name": "gpt-4.1-mini"})
def llm(messages: list[dict]) -> dict:
    get_current_run_tree().set(usage_metadata={"input_tokens": 30, "output_tokens": 5, "total_tokens": 35})
    return {"messages": [{"role": "assistant", "content": "Four weeks."}]}


@traceable(run_type="chain", name="qa", tags=["hr"], metadata={"session_id": "s-1", "user_id": "u-1", "release": 7})
def qa(question: str, who: str) -> dict:
    find(question)
    with contextlib.suppress(ValueError):
        lookup(who)
    llm([{"role": "user", "content": question}])
    return {"answer": "Four weeks."}


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    Thread(target=server.serve_forever, daemon=True).start()
    client = Client(
        api_url=f"http://127.0.0.1:{server.server_port}", api_key="none", auto_batch_tracing=True,
        info={"batch_ingest_config": LIMITS},
    )  # fmt: skip
    with tracing_context(enabled=True, client=client, project_name="support"):
        for number, who in enumerate(["ana", "bad"]):
            qa(f"How much notice? {number}", who)
    client.flush()
    runs = list(client.list_runs(project_id=SESSION))
    first = next(run for run in runs if run.name == "qa")
    client.create_feedback(first.id, "helpful", score=1.0, comment="right answer", feedback_source_type="api")
    client.create_feedback(first.id, "tone", value="formal", feedback_source_type="model")
    client.flush()
    lines = [run.model_dump_json(exclude_none=True) for run in runs]
    lines += [json.dumps({key: value for key, value in one.items() if value is not None}) for one in FEEDBACK]
    text = "\n".join(lines).replace(str(Path(__file__).parent), "app")  # stack traces name folders
    Path("langsmith.jsonl").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
