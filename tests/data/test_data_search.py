"""Indexes and search: real files, a real store, a real server for embeddings."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from click.testing import CliRunner

import afere
from afere.base.errors import BadData, BadInput, BadRule, MissingExtra, NoSuchArtifact
from afere.cli.index import index as index_command


def pdf(*pages: str) -> bytes:
    """A small valid PDF: one line of text a page."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for i, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET"
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Resources<</Font<</F1 3 0 R>>>>/Contents {5 + 2 * i} 0 R>>"
        )
        objects.append(f"<</Length {len(stream)}>>stream\n{stream}\nendstream")
    made, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj{text}endobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    return (
        made
        + f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{len(made)}\n%%EOF".encode()
    )


@pytest.fixture
def handbook(project: Path) -> Path:
    docs = project / "docs"
    (docs / "hr").mkdir(parents=True)
    (docs / "leave.md").write_text(
        "---\ntags: [hr, time]\nowner: people\nlevel: 2\n---\n# Leave\n\nEverybody has thirty days of vacation.\n\n"
        "## Sick days\n\nTell your lead before nine. A doctor's note is needed from day three.\n\n"
        "```python\ndef days():\n\n    # not a heading\n    return 30\n```\n"
    )
    (docs / "hr" / "travel.txt").write_text(
        "Trains are booked in second class.\n\nFlights need an approval by finance.\n"
    )
    (docs / "pay.html").write_text(
        "<html><head><title>Pay</title><script>var hidden = 'salary';</script></head><body><h1>Salary</h1>"
        "<p>Salaries are paid&nbsp;on the <b>25th</b>.</p><style>p{}</style><pre>a  b\n c</pre></body></html>"
    )
    (docs / "badge.pdf").write_bytes(pdf("The entrance badge opens the garage.", "Lost badges cost ten euro."))
    (docs / ".hidden.md").write_text("secret")
    (docs / ".git").mkdir()
    (docs / ".git" / "a.md").write_text("secret")
    (project / "afere.yaml").write_text("project: handbook\nindexes: {handbook: {source: docs/, embed: hash}}\n")
    return docs


def text_of(passage: afere.Passage) -> str:
    return " ".join(passage.text.split())


def test_a_search_finds_the_right_passage_in_every_kind_of_file(handbook):
    asked = {
        "how many vacation days are there": "docs/leave.md#1",
        "who approves a flight": "docs/hr/travel.txt#1",
        "when is the salary paid": "docs/pay.html#1",
        "what does a lost badge cost": "docs/badge.pdf#1",
    }
    for question, right in asked.items():
        assert afere.search("handbook", question, k=2)[0].id == right
    assert "hidden" not in text_of(afere.search("handbook", "salary", k=1)[0])


def test_a_passage_is_exactly_a_part_of_its_source(handbook):
    index = afere.index("small", "docs", embed="hash", chunk=afere.Chunking(60, 10))
    for passage in afere.search(
        index, "vacation days, note of a doctor, lead, def days", k=50, where="source:docs/leave.md"
    ):
        assert (handbook / "leave.md").read_text()[passage.start : passage.end] == passage.text
        assert len(passage.text) <= 60
        assert passage.metadata["owner"] == "people"


def test_chunks_carry_headings_pages_and_front_matter_and_search_filters_on_them(handbook):
    index = afere.index("small", "docs", embed="hash", chunk=afere.Chunking(100, 0))
    sick = afere.search(index, "doctor", k=1)[0]
    assert sick.metadata["heading"] == "Sick days"
    assert sick.metadata["headings"] == ["Leave", "Sick days"]
    assert sick.metadata["tags"] == ["hr", "time"]
    assert afere.search(index, "lost badge", k=1)[0].metadata["page"] == 2

    def sources(where: str) -> set[str]:
        return {passage.source for passage in afere.search(index, "the day badge salary train", k=50, where=where)}

    everything = {"docs/leave.md", "docs/hr/travel.txt", "docs/pay.html", "docs/badge.pdf"}
    assert sources("") == everything
    assert sources("tag:hr") == sources("owner:people") == sources("attr.level>=2") == {"docs/leave.md"}
    assert sources("-tag:HR") == everything - {"docs/leave.md"}
    assert sources("source:docs/hr/*") == sources('"second class"') == {"docs/hr/travel.txt"}
    assert sources("page>1") == {"docs/badge.pdf"}
    assert sources("tag:none") == set()
    with pytest.raises(BadRule, match=r"no field 'headin'\. Did you mean heading\?"):
        sources("headin:x")


def test_the_search_is_a_retrieval_span_with_the_version_and_its_documents(handbook):
    from afere import tracing

    with tracing.collecting() as collected:
        found = afere.search("handbook", "vacation", k=2, where="source:docs/*")
    (span,) = (span for trace in collected.traces.values() for span in trace.spans)
    index = afere.open().get("index:handbook")
    assert (span.name, span.kind) == ("search", "retrieval")
    assert span.input == {"index": "handbook", "query": "vacation", "k": 2, "where": "source:docs/*"}
    assert span.documents == [{"id": p.id, "text": p.text, "score": p.score} for p in found]
    assert span.artifacts == [("index:handbook@1", index.hash)]


def test_a_recorded_search_is_answered_from_the_record(handbook):
    from afere import tracing

    found = afere.search("handbook", "vacation", k=1)

    class Record:
        def answer(self, kind: str, name: str, arguments: object) -> tracing.Played:
            assert (kind, name, arguments["query"]) == ("retrieval", "search", "anything")
            return tracing.Played([passage.to_json() for passage in found])

    with tracing.playing(Record()):
        assert afere.search("handbook", "anything") == found


class Vectors(BaseHTTPRequestHandler):
    """An embeddings endpoint that counts the texts it was asked for."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        Vectors.asked += texts
        data = [
            {"index": i, "embedding": [float(len(text)), text.count("e") + 1.0, 1.0]} for i, text in enumerate(texts)
        ]
        body = json.dumps({"data": data, "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def vectors(project: Path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vectors)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    (project / "afere.yaml").write_text(
        f"project: handbook\nmodels: {{mine: {{model: 'openai:m', base_url: '{url}'}}}}\n"
    )
    Vectors.asked = []
    yield Vectors
    server.shutdown()
    server.server_close()


def test_unchanged_files_are_not_embedded_again(handbook, vectors, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    first = afere.index("handbook", "docs", embed="mine")
    before = len(vectors.asked)
    assert before >= 4
    assert (first.refreshed.read, first.refreshed.reused) == (4, 0)

    again = afere.index("handbook", "docs", embed="mine")
    assert again.ref == "index:handbook@1"
    assert (again.refreshed.read, again.refreshed.reused) == (0, 4)
    assert [text for text in vectors.asked[before:] if text != "dimensions"] == []

    (handbook / "hr" / "travel.txt").write_text("Everybody takes the bus.\n")
    (handbook / "leave.md").rename(handbook / "absence.md")
    (handbook / "pay.html").unlink()
    changed = afere.index("handbook", "docs", embed="mine")
    assert changed.ref == "index:handbook@2"
    assert (changed.refreshed.read, changed.refreshed.reused, changed.refreshed.gone) == (1, 2, 2)
    assert [text for text in vectors.asked[before:] if text != "dimensions"] == ["Everybody takes the bus."]
    assert afere.search("handbook@1", "trains", k=1)[0].source == "docs/hr/travel.txt"
    assert "bus" in afere.search("handbook", "bus", k=1)[0].text

    afere.index("handbook", "docs", embed="mine", chunk=afere.Chunking(700, 70))
    assert len(vectors.asked) > before + 3


def test_a_build_that_was_stopped_goes_on_where_it_was(handbook, monkeypatch):
    from afere.data import indexes

    monkeypatch.setattr(indexes, "_BATCH", 1)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        afere.index("handbook", "docs", embed="hash", progress=stop)
    with pytest.raises(NoSuchArtifact):
        afere.open().get("index:handbook")
    refreshed = afere.index("handbook", "docs", embed="hash").refreshed
    assert (refreshed.read, refreshed.reused) == (1, 3)


def test_what_cannot_be_read_is_named_and_the_rest_is_indexed(handbook, project):
    (handbook / "latin.md").write_bytes("café".encode("latin-1"))
    (handbook / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (handbook / "front.md").write_text("---\ntags: [a\n---\nStill a document about llamas.\n")
    outside = project / "outside.md"
    outside.write_text("secret")
    (handbook / "link.md").symlink_to(outside)
    (handbook / "loop").symlink_to(handbook)
    os.mkfifo(handbook / "pipe.md")
    (handbook / os.fsdecode(b"name-\xff.md")).write_text("a name that is not text")
    index = afere.index("handbook", "docs", embed="hash")
    named = {"docs/latin.md", "docs/broken.pdf", "docs/front.md", "docs/pipe.md", "docs/name-?.md"}
    assert set(index.problems) == named
    assert "byte 0xe9 is not UTF-8" in index.problems["docs/latin.md"]
    assert index.problems["docs/broken.pdf"].startswith("this PDF cannot be opened")
    assert "docs/front.md:3" in index.problems["docs/front.md"]
    assert set(index.files) == {
        "docs/leave.md",
        "docs/hr/travel.txt",
        "docs/pay.html",
        "docs/badge.pdf",
        "docs/front.md",
    }
    assert afere.search(index, "llamas", k=1)[0].source == "docs/front.md"


def test_a_source_without_documents_is_an_error_that_says_why(project):
    (project / "empty").mkdir()
    with pytest.raises(BadData, match=r"no document to index here\. Kinds: \.md"):
        afere.index("x", "empty", embed="hash")
    (project / "empty" / "a.md").write_bytes(b"\xff\xfea\x00")
    with pytest.raises(BadData, match="UTF-16"):
        afere.index("x", "empty", embed="hash")
    with pytest.raises(BadData, match="no such file or folder"):
        afere.index("x", "nowhere", embed="hash")


def test_words_alone_need_no_numpy_and_meanings_say_which_extra(handbook, monkeypatch):
    import sys

    plain = afere.index("plain", "docs", embed="none")
    both = afere.index("both", "docs", embed="hash")
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert afere.search(plain, 'vacations? "AND (OR* NEAR', k=1)[0].id == "docs/leave.md#1"
    with pytest.raises(MissingExtra, match=r"pip install 'afere\[search\]'"):
        afere.search(both, "vacation")


def test_an_index_follows_its_alias_and_its_declaration(handbook, project, caplog):
    assert afere.search("handbook", "vacation", k=1)
    assert "Making index handbook from docs: its first use." in caplog.text
    session = afere.open()
    session.alias("index:handbook@production", "index:handbook@1", why="first")
    (handbook / "leave.md").write_text("Vacation is unlimited.\n")
    assert "thirty" in afere.search("handbook", "vacation", k=1)[0].text
    done = CliRunner().invoke(index_command, ["handbook", "--json"])
    assert json.loads(done.output)["ref"] == "index:handbook@2"
    assert "unlimited" in afere.search("handbook", "vacation", k=1)[0].text
    assert "thirty" in afere.search("handbook@production", "vacation", k=1)[0].text
    (project / "afere.yaml").write_text("project: handbook\nindexes: {handbook: {source: docs/hr, embed: hash}}\n")
    assert {passage.source for passage in afere.search("handbook", "vacation")} == {"docs/hr/travel.txt"}
    with pytest.raises(NoSuchArtifact, match="Indexes here: handbook"):
        afere.search("handbok", "x")
    with pytest.raises(BadInput, match="at least one"):
        afere.search("handbook", "x", k=0)


def test_threads_that_meet_on_first_use_make_one_version(handbook):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: afere.search("handbook", "vacation", k=1)[0].id, range(24)))
    assert set(found) == {"docs/leave.md#1"}
    assert afere.open().get("index:handbook").version == 1


def test_nothing_is_asked_and_nothing_is_found(handbook):
    assert afere.search("handbook", "  ") == []
    assert len(afere.search("handbook", "???", k=99)) <= 99


def test_the_command_shows_version_chunks_files_and_seconds(handbook):
    shown = CliRunner().invoke(index_command, ["handbook"]).output
    assert "index:handbook@1: 4 chunks of 4 files" in shown
    assert "4 files read, 0 as before, 0 gone" in shown
    assert "index:handbook@1 (unchanged)" in CliRunner().invoke(index_command, ["handbook", "--refresh"]).output
    missing = CliRunner().invoke(index_command, ["nothing"])
    assert isinstance(missing.exception, NoSuchArtifact)


def test_a_lost_or_damaged_cache_is_made_again(handbook, project):
    import shutil

    from afere.data import searching

    found = afere.search("handbook", "vacation", k=2)
    cache = project / ".afere" / "cache" / "indexes"
    for damage in (lambda: shutil.rmtree(cache), lambda: [file.write_bytes(b"no") for file in cache.iterdir()]):
        damage()
        searching._searchers.clear()
        assert afere.search("handbook", "vacation", k=2) == found
