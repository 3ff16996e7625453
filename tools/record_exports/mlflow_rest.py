"""Record what MLflow's server answers: `mlflow server --backend-store-uri sqlite:///mlflow.db --port 5055` beside the file
that mlflow_export.py made, then `python mlflow_rest.py http://127.0.0.1:5055`, and `afere import mlflow http://127.0.0.1:5056`
in an empty project, with pages of 3 (`_PAGE`). Every question and its answer is tests/exchange/exports/mlflow-3.17-api.json.
"""

# pyright: basic

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

FILE = Path("mlflow-3.17-api.json")
recorded: dict[str, object] = {}


class Between(BaseHTTPRequestHandler):
    """Passes a request on, and keeps it with its answer."""

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(sys.argv[1] + self.path, body or None, headers, method=self.command)
        try:
            with urllib.request.urlopen(asked) as answer:
                status, said = answer.status, answer.read()
        except urllib.error.HTTPError as failed:
            status, said = failed.code, failed.read()
        recorded[f"{self.command} {self.path} {body.decode()}"] = json.loads(said)
        FILE.write_text(json.dumps(recorded, indent=1) + "\n", encoding="utf-8")
        self.send_response(status)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = _pass


HTTPServer(("127.0.0.1", 5056), Between).serve_forever()
