"""What a session promises, through its public door."""

from __future__ import annotations

from pathlib import Path

import pytest

import afere.store
from afere.base.artifact import Artifact, Use
from afere.base.canonical import Json
from afere.base.errors import BadInput, BadReference, NoSuchAlias, NoSuchArtifact, Refused
from afere.base.score import Score
from afere.store import Session


@pytest.fixture
def session(project: Path) -> Session:
    return afere.store.open()


def use(artifact: Artifact, role: str = "prompt") -> Use:
    return Use(role, artifact.ref, artifact.hash)


def test_a_store_rests_beside_the_project_file_hidden_from_git(session: Session, project: Path) -> None:
    assert session.folder == project / ".afere"
    assert session.project == "handbook"
    assert (project / ".afere" / ".gitignore").read_text() == "*\n"


def test_identical_content_is_the_same_version_and_other_content_the_next(session: Session) -> None:
    first = session.put("prompt", "answer", {"template": "Hi", "n": 1.0}, why="first words")
    again = session.put("prompt", "answer", {"n": 1, "template": "Hi"}, why="not looked at")
    second = session.put("prompt", "answer", {"template": "Hello"})
    assert again == first
    assert (first.ref, second.ref) == ("prompt:answer@1", "prompt:answer@2")
    assert first.why == "first words"
    assert first.by == "person:local"
    assert session.get("answer") == second
    assert session.get(first.hash) == first == session.get(f"prompt:answer~{first.hash[7:15]}")


def test_experiments_count_up_in_the_project(session: Session) -> None:
    refs = [session.put("experiment", None, {"same": True}).ref for _ in range(3)]
    assert refs == ["experiment:1", "experiment:2", "experiment:3"]
    assert session.put("decision", None, {}).ref == "decision:1"
    assert session.put("experiment", "7", {}).ref == "experiment:7"
    assert session.put("experiment", None, {}).ref == "experiment:8"
    with pytest.raises(BadInput, match="frozen"):
        session.put("experiment", "7", {"other": True})


def test_what_uses_a_part_can_be_found_from_the_part_and_back(session: Session) -> None:
    prompt = session.put("prompt", "answer", "Hi")
    component = session.put("component", "answer", {"model": "m"}, uses=[use(prompt)])
    chain = session.put("chain", "qa", {}, uses=[use(component, "component"), use(prompt)])
    experiment = session.put("experiment", None, {}, uses=[use(chain, "target")])
    assert [(edge.target, edge.depth) for edge in session.up(experiment.ref)] == [
        (chain.ref, 1), (component.ref, 2), (prompt.ref, 2), (prompt.ref, 3),
    ]  # fmt: skip
    assert {edge.source for edge in session.down("prompt:answer")} == {component.ref, chain.ref, experiment.ref}
    with pytest.raises(NoSuchArtifact, match="Put it first"):
        session.put("chain", "other", {}, uses=[Use("prompt", "prompt:gone@1", "sha256:" + "0" * 64)])
    assert session.find("artifacts", name="other").items == ()


def test_a_reference_that_means_nothing_or_too_much_says_what_there_is(session: Session) -> None:
    session.put("prompt", "answer", "Hi")
    session.put("component", "answer", "Hi")
    with pytest.raises(BadReference, match=r"component:answer, prompt:answer"):
        session.get("answer")
    assert session.get("answer", kind="prompt").kind == "prompt"
    with pytest.raises(NoSuchArtifact, match="Did you mean 'answer'"):
        session.get("prompt:anwser")
    with pytest.raises(NoSuchArtifact, match="versions 1 to 1"):
        session.get("prompt:answer@4")
    with pytest.raises(NoSuchAlias, match="afere promote prompt:answer@1 production"):
        session.get("prompt:answer@production")
    session.alias("prompt:answer@production", "prompt:answer@1", why="good")
    assert session.get("answer@production").ref == "prompt:answer@1"  # only one answer has that alias


def test_a_hash_prefix_that_fits_two_versions_lists_both(session: Session) -> None:
    known: dict[str, str] = {}
    for i in range(100_000):
        text = f"text {i}"
        from afere.base.artifact import identity

        start = identity("prompt", "p", text, None, ())[7:13]
        if start in known:
            break
        known[start] = text
    session.put("prompt", "p", known[start])
    session.put("prompt", "p", text)
    with pytest.raises(BadReference, match=r"p@1 .*p@2"):
        session.get(f"p~{start}")


def test_every_move_of_an_alias_is_kept(session: Session) -> None:
    for text in ("one", "two", "three"):
        session.put("prompt", "answer", text)
    session.alias("answer@production", "answer@1", why="first")
    session.alias("answer@production", "answer@2", why="better")
    session.alias("answer@production", "answer@2", why="again: no move")
    session.alias("answer@production", "answer@3", why="better still")
    assert session.rollback("answer@production").to == "prompt:answer@2"
    assert session.rollback("answer@production", why="also bad").to == "prompt:answer@1"
    with pytest.raises(NoSuchAlias, match="never anywhere before"):
        session.rollback("answer@production")
    assert session.get("answer@1").aliases == ("production",)
    session.alias("answer@production", None, why="withdrawn")
    with pytest.raises(NoSuchAlias):
        session.get("answer@production")
    assert session.rollback("answer@production").to == "prompt:answer@1"
    moves = session.find("aliases", ref="prompt:answer", alias="production").items
    assert [(move.origin, move.to) for move in reversed(moves)] == [
        (None, "prompt:answer@1"), ("prompt:answer@1", "prompt:answer@2"), ("prompt:answer@2", "prompt:answer@3"),
        ("prompt:answer@3", "prompt:answer@2"), ("prompt:answer@2", "prompt:answer@1"), ("prompt:answer@1", None),
        (None, "prompt:answer@1"),
    ]  # fmt: skip
    assert [move.to for move in session.find("aliases", current=True).items] == ["prompt:answer@1"]


def test_an_alias_points_only_to_its_own_name(session: Session) -> None:
    session.put("prompt", "answer", "Hi")
    session.put("prompt", "other", "Hi")
    with pytest.raises(BadInput, match="own kind and name"):
        session.alias("answer@production", "other@1", why="no")
    with pytest.raises(BadInput, match="why"):
        session.alias("answer@production", "answer@1", why=" ")


def test_a_protected_alias_moves_only_with_a_decision_that_passed(session: Session, project: Path) -> None:
    (project / "afere.yaml").write_text("project: handbook\naliases: {production: {protected: true}}\n")
    one, two = (session.put("chain", "qa", {"n": n}) for n in (1, 2))
    with pytest.raises(Refused, match="afere gate"):
        session.alias("qa@production", one.ref, why="please")
    experiments = [session.put("experiment", None, {}, uses=[use(chain, "target")]) for chain in (one, two)]
    failed = session.put("decision", None, {"answer": "fail", "subject": experiments[0].ref})
    passed = session.put("decision", None, {"answer": "pass", "subject": experiments[0].ref})
    with pytest.raises(Refused, match="'fail'"):
        session.alias("qa@production", one.ref, why="please", decision=failed.ref)
    with pytest.raises(Refused, match="nothing to do with"):
        session.alias("qa@production", two.ref, why="please", decision=passed.ref)
    assert session.alias("qa@production", one.ref, why="it passed", decision=passed.ref).decision == passed.ref
    compared = [use(experiments[1], "subject"), use(experiments[0], "against")]
    second = session.put("decision", None, {"answer": "pass"}, uses=compared)
    session.put("chain", "qa", {"n": 3})
    with pytest.raises(Refused, match="nothing to do with"):  # it won against the first, and speaks for the second
        session.alias("qa@production", "qa@3", why="please", decision=second.ref)
    session.alias("qa@production", two.ref, why="it passed too", decision=second.ref)
    assert session.rollback("qa@production", why="users complain").decision == passed.ref


def test_a_protected_alias_asks_for_every_rule_that_the_experiment_declared(session: Session, project: Path) -> None:
    (project / "afere.yaml").write_text("project: handbook\naliases: {production: {protected: true}}\n")
    chain = session.put("chain", "qa", {})
    gate: list[Json] = ["exact.mean >= 0.8", "errors.sum <= 0"]
    experiment = session.put("experiment", None, {"gate": gate}, uses=[use(chain, "target")])

    def decide(*answers: tuple[Json, str]) -> str:
        rules: list[Json] = [{"rule": rule, "answer": answer} for rule, answer in answers]
        worst = "fail" if any(answer == "fail" for _, answer in answers) else "pass"
        content: dict[str, Json] = {"subject": experiment.ref, "answer": worst, "rules": rules}
        return session.put("decision", None, content, uses=[use(experiment, "subject")]).ref

    def promote(decision: str) -> str | None:
        return session.alias("qa@production", chain.ref, why="it passed", decision=decision).to

    early = decide((gate[0], "pass"), (gate[1], "pass"))
    decide((gate[0], "fail"), (gate[1], "pass"))
    easy = decide(("cost.mean < 100", "pass"), (gate[1], "pass"))
    with pytest.raises(Refused, match=r"exact.mean >= 0.8 \(not asked\), .*afere gate experiment:1"):
        promote(easy)
    with pytest.raises(Refused, match=r"decision:2 said 'fail' to exact.mean >= 0.8, .*afere gate experiment:1"):
        promote(early)
    assert session.find("aliases", current=True).items == ()
    assert promote(decide(("cost.mean < 100", "pass"), *((rule, "pass") for rule in gate))) == chain.ref


def test_a_protected_alias_waits_for_the_people_it_asks_for(session: Session, project: Path) -> None:
    (project / "afere.yaml").write_text("aliases: {production: {protected: true, approvals: 2}}\n")
    chain = session.put("chain", "qa", {})
    passed = session.put("decision", None, {"answer": "pass"}, uses=[use(chain, "subject")])

    def promote() -> str | None:
        return session.alias("qa@production", chain.ref, why="it passed", decision=passed.ref).to

    for by, value in (
        ("person:ana", True),
        ("person:ana", True),
        ("person:bo", True),
        ("user:9", True),
        ("person:bo", False),
    ):
        session.append(Score(chain.ref, "approval", value, by))
    with pytest.raises(Refused, match=r"2 approvals .* has 1 \(person:ana\).*afere score chain:qa~"):
        promote()
    session.append(Score(chain.ref, "approval", True, session.actor))
    with pytest.raises(Refused, match=r"has 1 \(person:ana\); that of person:local, who made it, does not count"):
        promote()
    session.append(Score(chain.ref, "approval", True, "person:bo"))
    assert promote() == chain.ref


def test_scores_are_kept_once_and_the_newest_comes_first(session: Session) -> None:
    old = Score("t1", "helpful", True, "user:1", at="2026-01-01T00:00:00Z")
    new = Score("t1", "helpful", None, "judge:x", "the judge gave no verdict", at="2026-01-01T02:00:00+01:00")
    session.append(new, old)
    session.append(old)
    session.append(Score("t1/s9", "exact", 0.5, "scorer:exact@1", data={"span": 9}))
    assert session.find("scores", target="t1").items == (new, old)
    assert len(session.find("scores", target_prefix="t1").items) == 3
    assert session.find("scores", by="scorer:exact@1").items[0].data == {"span": 9}
    with pytest.raises(BadInput, match="id of its own"):
        session.append(Score("t1", "new", 1, "user:1"), Score("t1", "helpful", False, "user:1", id=old.id))
    assert session.find("scores", name="new").items == ()  # all or none
    assert [line.action for line in session.find("audit").items].count("score") == 1  # people's scores only


def test_projects_in_one_store_do_not_see_each_other(session: Session) -> None:
    other = afere.store.open(session.folder, project="other", actor="person:ana")
    prompt = session.put("prompt", "answer", "Hi")
    session.append(Score("t1", "helpful", True, "user:1", id="s1"))
    session.alias("answer@production", "answer@1", why="good")
    with pytest.raises(NoSuchArtifact):
        other.get(prompt.hash)
    assert all(other.find(what).items == () for what in ("artifacts", "aliases", "scores", "jobs", "audit"))
    assert other.follow() == []
    other.append(Score("t1", "helpful", False, "user:2", id="s1"))
    assert other.put("prompt", "answer", "Other").ref == "prompt:answer@1"
    assert other.get("answer").by == "person:ana"
    assert session.find("scores").items[0].by == "user:1"


def test_pages_follow_each_other_while_new_things_arrive(session: Session) -> None:
    for i in range(7):
        session.put("prompt", f"p{i}", i)
        session.append(Score("t", "n", i, "user:1", at="2026-01-01T00:00:00Z"))
    for what in ("artifacts", "scores", "audit"):
        first = session.find(what, limit=3)
        session.put("prompt", f"late-{what}", 0)
        seen, cursor = list(first.items), first.next
        while cursor:
            page = session.find(what, limit=3, cursor=cursor)
            seen, cursor = [*seen, *page.items], page.next
        assert len({str(item) for item in seen}) == len(seen) >= 7
    with pytest.raises(BadInput, match="cursor"):
        session.find("artifacts", cursor="x")
    with pytest.raises(BadInput, match="kind"):
        session.find("artifacts", colour="red")  # pyright: ignore


def test_the_change_feed_tells_each_change_once_in_order(session: Session) -> None:
    session.put("prompt", "answer", "Hi")
    seen = session.follow()
    session.alias("answer@production", "answer@1", why="good")
    session.append(Score("t1", "helpful", True, "user:1", id="s1"))
    assert [(change.what, change.subject) for change in seen + session.follow(seen[-1].seq)] == [
        ("artifact", "prompt:answer@1"), ("alias", "prompt:answer@production"), ("score", "s1"),
    ]  # fmt: skip


def test_a_job_goes_on_where_it_stopped_until_it_is_done(session: Session) -> None:
    job = session.job("eval", "qa abc", total=3)
    job.put({"row 1": {"output": "Hi \ud800"}, "row 2": None})  # half of a pair, as some models' tokens are
    job.end("stopped")
    again = session.job("eval", "qa abc")
    assert (again.id, again.total, again.status) == (job.id, 3, "running")
    assert again.items() == {"row 1": {"output": "Hi \ud800"}, "row 2": None}
    assert again.end("done").status == "done"
    assert session.job("eval", "qa abc").id != job.id
    assert [job.status for job in session.find("jobs", kind="eval").items] == ["running", "done"]


def test_bytes_come_back_by_their_digest(session: Session) -> None:
    artifact = session.put("dataset", "qa", {"rows": 2}, blob=b"\x00\xff" * 1000)
    assert artifact.blob == session.put_blob(b"\x00\xff" * 1000)
    assert session.blob(artifact.blob) == b"\x00\xff" * 1000
    with pytest.raises(BadInput, match="digest"):
        session.blob("../../etc/passwd")


def test_a_store_elsewhere_says_what_is_supported(project: Path) -> None:
    with pytest.raises(BadInput, match=r"postgres://.*a store is a folder"):
        afere.store.open("postgres://host/db")


def test_what_has_no_canonical_form_is_refused_and_nothing_is_kept(session: Session) -> None:
    for content in ({"x": float("nan")}, {"x": 2**53}, {"x": "\ud800"}, {"x": object()}):
        with pytest.raises(BadInput):
            session.put("prompt", "answer", content)  # pyright: ignore
    with pytest.raises(BadInput, match="half a character"):
        session.put("prompt", "answer", "Hi", why="\ud800")
    assert session.find("artifacts").items == ()
