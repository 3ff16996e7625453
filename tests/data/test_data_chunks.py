"""Documents become text, and text becomes chunks that are exactly parts of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from afere.base.errors import BadData
from afere.data.chunks import Chunk, Chunking, cut
from afere.data.documents import SUFFIXES, Document, read_document

LINES = st.lists(
    st.sampled_from(
        [
            "# Top",
            "## Part",
            "### Deep",
            "",
            "",
            "```python",
            "```",
            "one two three.",
            "- item",
            "    code",
            "x" * 70,
            "Ünïcode 漢字。次。",
        ]
    )
    | st.text(max_size=40),
    max_size=40,
)


def whole(document: Document, chunks: list[Chunk], size: int) -> None:
    covered = bytearray(len(document.text))
    before = -1
    for chunk in chunks:
        assert before < chunk.start < chunk.end <= len(document.text)
        assert chunk.end - chunk.start <= size
        text = document.text[chunk.start : chunk.end]
        assert text == text.strip()
        covered[chunk.start : chunk.end] = b"\1" * (chunk.end - chunk.start)
        before = chunk.start
    body = document.blocks[0].start
    missed = [c for i, c in enumerate(document.text) if i >= body and not covered[i] and not c.isspace()]
    assert missed == []


@settings(max_examples=300, deadline=None)
@given(lines=LINES, size=st.integers(1, 120), overlap=st.integers(0, 119), suffix=st.sampled_from([".md", ".txt"]))
def test_chunks_hold_every_character_and_are_never_longer_than_asked(lines, size, overlap, suffix):
    document = read_document(suffix, "\n".join(lines).encode("utf-8", "replace"), "a" + suffix)
    whole(document, cut(document, Chunking(size, min(overlap, size - 1))), size)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["<p>", "</p>", "<h1>", "</h1>", "<pre>", "</pre>", "<script>", "</script>", "<", "a b\n c", "&amp;"]
        )
    )
)
def test_any_html_gives_chunks_that_cover_its_text(parts):
    document = read_document(".html", "".join(parts).encode(), "a.html")
    whole(document, cut(document, Chunking(20, 5)), 20)


def texts(markdown: str, size: int, overlap: int = 0) -> list[str]:
    document = read_document(".md", markdown.encode(), "a.md")
    return [document.text[chunk.start : chunk.end] for chunk in cut(document, Chunking(size, overlap))]


def test_code_stays_whole_and_a_heading_goes_with_what_follows_it():
    code = "```python\ndef a():\n\n    return 1\n```"
    assert texts(f"Intro.\n\n## How\n\n{code}\n\nAfter it.\n", 50) == ["Intro.", f"## How\n\n{code}", "After it."]


def test_a_chunk_begins_with_the_end_of_the_one_before_at_a_word():
    assert texts("one two three. four five six. seven eight nine.", 30, 10) == [
        "one two three. four five six.",
        "five six. seven eight nine.",
    ]


def test_headings_are_kept_as_a_path_and_short_sections_stay_together():
    markdown = "# Top\n\n## A\n\n" + "a " * 60 + "\n\n### Deep\n\n" + "b " * 60 + "\n\n## C\n\nshort\n"
    document = read_document(".md", markdown.encode(), "a.md")
    headings = [chunk.metadata["headings"] for chunk in cut(document, Chunking(200, 20))]
    assert headings == [["Top", "A"], ["Top", "A", "Deep"], ["Top", "C"]]
    assert document.metadata == {"title": "Top"}


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=80),
    suffix=st.sampled_from(SUFFIXES),
    front=st.sampled_from([b"", b"---\n", b"---\na: [1\n---\n", b"%PDF-1.4\n"]),
)
def test_any_bytes_are_a_document_or_an_error_that_names_the_file(data, suffix, front):
    try:
        document = read_document(suffix, front + data, "a" + suffix)
    except BadData as problem:
        assert str(problem).startswith("a" + suffix)
    else:
        whole(document, cut(document, Chunking(10, 3)), 10)


def test_html_becomes_the_text_that_is_seen():
    page = (
        "<title>A &amp; B</title><script>hidden()</script><h2>Rates <i>now</i></h2><table><tr><th>day</th><th>pay</th></tr>"
        "<tr><td>Mon</td><td>5\n€</td></tr></table><p>one<br>two</p><pre>x\n  y</pre><template>no</template>"
    )
    document = read_document(".html", page.encode(), "a.html")
    assert document.text == "Rates now\n\nday pay\n\nMon 5 €\n\none\n\ntwo\n\nx\n  y\n\n"
    assert document.metadata == {"title": "A & B"}
    assert [(block.title, block.code) for block in document.blocks if block.level or block.code] == [
        ("Rates now", False),
        ("", True),
    ]
