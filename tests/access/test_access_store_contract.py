"""One suite for a store in a folder and for a store that a server keeps: whoever uses a session cannot tell them apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from access_site import Site

import afere.store
from afere.base.artifact import Use
from afere.base.errors import BadInput, NoSuchAlias, NoSuchArtifact, NotFound, Refused
from afere.base.score import Score
from afere.base.span import Span
from afere.store import Session
from afere.store.jobs import Busy, me

SPAN = Span(
    "ab" * 16, "cd" * 8, "answer", 1_760_000_000_123_456_789, kind="llm", end=1_760_000_001_123_456_789, status="error",
    error="ValueError: é", model="m", input_tokens=3, output_tokens=4, cost=0.25, input={"q": "Wie geht's?"}, output=[1, None],
    input_messages=[{"role": "user", "text": "hi"}], tool={"name": "t"}, documents=[{"id": "a", "text": "b", "score": 1.5}],
    session="s", user="42", attributes={"deep": {"list": [1.5, True]}}, events=[{"name": "e", "at": "2026-01-01T00:00:00Z"}],
    artifacts=[("prompt:answer@1", "sha256:" + "0" * 64)], marks=["late"],
)  # fmt: skip


@pytest.fixture(params=["folder", "server"])
def session(request: pytest.FixtureRequest, site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    if request.param == "folder":
        yield site.session
        return
    monkeypatch.setenv("AFERE_KEY", site.key("admin", project="*"))
    with afere.store.open(site.url) as remote:
        yield remote


def test_artifacts_keep_their_versions_lineage_and_blobs(session: Session) -> None:
    first = session.put("prompt", "answer", {"template": "Hi {{ name }}"}, why="first")
    assert session.put("prompt", "answer", {"template": "Hi {{ name }}"}).ref == first.ref == "prompt:answer@1"
    second = session.put("prompt", "answer", {"n": 1.5, "é": None}, blob=b"\x00\xff" * 2000)
    assert (second.version, session.blob(str(second.blob))) == (2, b"\x00\xff" * 2000)
    chain = session.put("chain", "qa", {"form": 1}, uses=[Use("prompt answer", first.ref, first.hash)])
    assert session.get("qa", kind="chain") == chain
    assert session.get(first.hash).content == {"template": "Hi {{ name }}"}
    assert [edge.target for edge in session.up(chain.ref)] == [first.ref]
    assert [edge.source for edge in session.down(first.ref)] == [chain.ref]
    reached = session.reach(first.hash, up=False)
    assert [(node.ref, distance) for node, distance in reached.nodes] == [(first.ref, 0), (chain.ref, 1)]
    assert (reached.counts, set(reached.hashes)) == ({"chain": 1, "prompt": 1}, {first.hash, chain.hash})
    assert [edge.source for edge in reached.edges] == [chain.ref]
    assert [session.put("experiment", None, {"n": n}).ref for n in (1, 2)] == ["experiment:1", "experiment:2"]
    page = session.find("artifacts", limit=2)
    assert [one.ref for one in page.items] == ["experiment:2", "experiment:1"]
    assert len(session.find("artifacts", cursor=page.next).items) == 3
    for missing, error in (("prompt:nothing", NoSuchArtifact), ("prompt:answer@nowhere", NoSuchAlias)):
        with pytest.raises(error, match="handbook"):
            session.get(missing)
    with pytest.raises(NotFound):
        session.blob("sha256:" + "1" * 64)
    with pytest.raises(BadInput):
        session.find("artifacts", colour="red")  # type: ignore[call-overload]  # what a typo does


def test_aliases_move_with_a_reason_and_go_back(session: Session) -> None:
    for text in "abc":
        session.put("prompt", "answer", text)
    for number in (1, 2, 3):
        session.alias("prompt:answer@production", f"prompt:answer@{number}", why="better")
    assert session.rollback("prompt:answer@production", why="worse").to == "prompt:answer@2"
    assert session.get("prompt:answer@production").content == "b"
    assert session.rollback_once("r1", "prompt:answer@production").to == "prompt:answer@1"
    assert session.rollback_once("r1", "prompt:answer@production").to == "prompt:answer@1"  # asked again, moved once
    moves = session.find("aliases", ref="prompt:answer").items
    assert [move.to for move in moves] == [f"prompt:answer@{n}" for n in (1, 2, 3, 2, 1)]
    with pytest.raises(BadInput, match="why"):
        session.alias("prompt:answer@production", None, why=" ")


def test_a_change_that_is_asked_for_again_is_made_once(session: Session) -> None:
    made = [session.put_once("r2", "experiment", None, {"rows": 1}).ref for _ in range(3)]
    assert made == ["experiment:1"] * 3
    score = Score("ab" * 16, "helpful", True, "user:42")
    session.append(score)
    session.append(score, Score("ab" * 16, "exact", None, "scorer:exact@1", "no verdict"))
    assert [one.name for one in session.find("scores").items] == ["exact", "helpful"]
    assert session.find("scores", by="user:42").items == (score,)
    with pytest.raises(BadInput, match="another score"):
        session.append(replace(score, value=False))


def test_jobs_go_on_where_they_stopped_and_belong_to_one_process(session: Session) -> None:
    job = session.job("eval", "key", total=3)
    job.put({"row 1": {"output": "é"}, "row 2": None})
    assert session.job("eval", "key").id == job.id
    assert session.job("eval", "key").items() == {"row 1": {"output": "é"}, "row 2": None}
    other = replace(me(), pid=1, host="elsewhere")
    with pytest.raises(Busy, match=r"elsewhere|process"):
        session.claim("eval", "key", total=None, owner=other, instead=None)
    assert session.claim("eval", "key", total=None, owner=other, instead=me()).id == job.id  # found dead
    assert job.end("done").ended is not None
    assert [one.status for one in session.find("jobs", kind="eval").items] == ["done"]
    assert session.job("eval", "key").id != job.id


def test_spans_come_back_as_they_went(session: Session) -> None:
    session.spans.write(
        [SPAN, replace(SPAN, span_id="ef" * 8, parent_id=SPAN.span_id, name="inner", status="ok", cost=None)]
    )
    session.spans.write([SPAN])
    trace = session.spans.trace("ababab")
    assert trace is not None and SPAN in trace.spans and len(trace.spans) == 2
    assert [span.name for span in session.spans.find("status:error").items] == ["answer"]
    assert session.spans.stats(by=["model"])[0]["count"] == 2
    assert session.spans.facets(fields=["kind"])["kind"][0] == {"value": "llm", "count": 2}
    assert session.spans.totals([SPAN.trace_id])[SPAN.trace_id].spans == 2
    session.spans.say([(SPAN.trace_id, SPAN.span_id, {"name": "gen_ai.choice"})])
    assert session.spans.said([SPAN.trace_id]) == {(SPAN.trace_id, SPAN.span_id): [{"name": "gen_ai.choice"}]}
    key = SPAN.artifacts[0][1]
    ran = session.spans.ran([key, "document:nothing"])
    assert (ran.count, [(one.trace_id, one.key) for one in ran.traces]) == (1, [(SPAN.trace_id, key)])
    assert session.spans.requests() == 1
    session.spans.lost(3, "the queue was full")
    assert [(loss.count, loss.why) for loss in session.spans.losses()] == [(3, "the queue was full")]
    assert session.spans.trace("ff" * 16) is None
    with pytest.raises(BadInput):
        session.spans.find("latensy>2")
    with pytest.raises(BadInput):
        session.spans.write([replace(SPAN, trace_id="no id")])


ODD = (
    replace(SPAN, span_id="01" * 8, status="running", end=None, output=None, attributes={"process.pid": 7, "host.name": "h"}),
    replace(SPAN, span_id="02" * 8, status="paused", error=None, cost=0.0, input_tokens=None),
    replace(SPAN, span_id="03" * 8, input="half \ud800 of a character", attributes={"large": 2**70, "nul": "\0", "n": 2**63}),
    replace(SPAN, span_id="04" * 8, start=-5, end=-4, name="", kind="own kind", error="", user="", artifacts=[], marks=[]),
    replace(SPAN, span_id="05" * 8, input_messages=[{"role": "user", "text": "t", "parts": [{"type": "text", "text": "t"}]}]),
    replace(SPAN, span_id="06" * 8, attributes={"gen_ai.request.model": "other", "afere.kind": "tool", "user.id": "other"}),
    replace(SPAN, span_id="07" * 8, output="x" * 300_000, reasoning_tokens=2, cached_input_tokens=0, first_token_seconds=0.5),
)  # fmt: skip


def test_odd_spans_come_back_as_they_went(session: Session) -> None:
    session.spans.write([SPAN, *ODD])
    assert {span.span_id: span for span in trace_of(session)} == {one.span_id: one for one in (SPAN, *ODD)}
    session.spans.write([replace(ODD[0], status="ok", end=SPAN.end, output="done")])
    session.spans.write([ODD[0]])  # late: a running state never replaces a finished one
    ended = session.spans.span(SPAN.trace_id, ODD[0].span_id)
    assert ended is not None and (ended.status, ended.output) == ("ok", "done")
    assert session.spans.span(SPAN.trace_id, "ff" * 8) is None
    assert session.spans.find("done", roots=False).items[0].span_id == ODD[0].span_id


def trace_of(session: Session) -> tuple[Span, ...]:
    trace = session.spans.trace(SPAN.trace_id)
    return trace.spans if trace is not None else ()


def test_what_changed_is_followed_and_audited(session: Session) -> None:
    session.put("prompt", "answer", "a")
    session.alias("prompt:answer@production", "prompt:answer@1", why="first")
    changes = session.follow()
    assert [(one.what, one.subject) for one in changes] == [
        ("artifact", "prompt:answer@1"), ("alias", "prompt:answer@production"),
    ]  # fmt: skip
    assert session.follow(changes[-1].seq) == []
    assert session.verify() == [] and session.head()[0] > 2
    lines = session.find("audit").items
    assert {line.actor for line in lines if line.action == "put"} == {session.actor}
    assert all(line.hash == line.expected_hash() for line in lines)


def test_keys_and_accounts_are_made_and_ended(session: Session) -> None:
    made, kept = session.actors.create_key("app", project="handbook", scopes=["ingest"])
    known = list(session.actors.keys())
    assert kept in known and made not in str([one.to_json() for one in known])
    assert session.actors.revoke(kept.id).state == "revoked"
    invitation = session.actors.add_person("ana.reis", role="viewer", project="handbook")
    session.actors.add_person("ana.reis", role="editor", project="handbook")
    assert invitation and [(one.name, one.roles) for one in session.actors.people()] == [
        ("ana.reis", (("handbook", "editor"),))
    ]
    session.actors.remove_person("ana.reis")
    assert session.actors.people() == [] and session.verify() == []
    with pytest.raises(NotFound):
        session.actors.set_password("ana.reis", "a good long one")


def test_a_server_speaks_in_the_name_of_the_key_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFERE_KEY", site.key("read"))
    with pytest.raises(BadInput, match="the key says who asks"):
        afere.store.open(site.url, actor="person:ana")
    with afere.store.open(site.url) as reader:
        with pytest.raises(Refused, match="needs: write"):
            reader.put("prompt", "answer", "a")
        with pytest.raises(Refused, match="needs: ingest"):
            reader.spans.write([SPAN])
        with pytest.raises(Refused, match="machine of the server"):
            reader.spans.keep(1.0)
    with pytest.raises(Refused, match="no access"):
        afere.store.open(site.url, project="other")
    monkeypatch.setenv("AFERE_KEY", "afere_wrong")
    with pytest.raises(Refused, match="AFERE_KEY"):
        afere.store.open(site.url)
