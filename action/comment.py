"""Write a summary as one comment on a pull request: the comment that holds the same marker is edited, else one is made.

    python comment.py SUMMARY.md

Reads GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN and PULL_REQUEST. Needs nothing but Python. A token that may not
write, as in a pull request from a fork, is said and is no failure: the gate's own status decides.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LONGEST = 65_000  # characters of a comment; GitHub refuses more than 65,536
PAGES = 20  # of a hundred comments


def ask(method: str, path: str, body: dict[str, str] | None = None) -> Any:
    url = f"{os.environ.get('GITHUB_API_URL', 'https://api.github.com')}/repos/{os.environ['GITHUB_REPOSITORY']}/{path}"
    headers = {
        "Authorization": f"Bearer {os.environ['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json",
        "Content-Type": "application/json", "User-Agent": "afere-gate",
    }  # fmt: skip
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def comments(number: int) -> Iterator[dict[str, Any]]:
    for page in range(1, PAGES + 1):
        found = ask("GET", f"issues/{number}/comments?per_page=100&page={page}")
        yield from found
        if len(found) < 100:
            return


def main(file: str) -> int:
    summary = Path(file)
    if not summary.is_file():
        print("There is no summary: the evaluation did not get that far. No comment was written.")
        return 0
    text = summary.read_text(encoding="utf-8")
    marker = re.search(r"<!-- afere gate [a-z0-9._-]* -->", text)
    if marker is None:
        print(
            f"{file} has no marker, so its comment could not be found again. Write it with: afere eval SUITE --markdown F"
        )
        return 2
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n\n(cut)\n\n{marker[0]}\n"
    number = int(os.environ["PULL_REQUEST"])
    try:
        # Anybody may write the marker into a comment of theirs; only a program's comment is ours to edit.
        mine = (one for one in comments(number) if one["user"]["type"] == "Bot" and marker[0] in (one["body"] or ""))
        own = next(mine, None)
        if own is None:
            ask("POST", f"issues/{number}/comments", {"body": text})
        else:
            ask("PATCH", f"issues/comments/{own['id']}", {"body": text})
    except urllib.error.HTTPError as problem:
        if problem.code not in (401, 403, 404):
            raise
        print(f"::notice::The token may not write a comment here ({problem.code}), as in a pull request from a fork.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
