"""The doors of a server that asks who one is, as a browser, a program and a stranger meet them."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from access_site import Site, running

import afere.store
from afere.base.errors import NotFound, Refused
from afere.base.score import Score
from afere.base.span import Span
from afere.server import Server
from afere.server.auth import Failures
from afere.server.run import Front

PASSWORD = "correct horse battery"
FORM = "application/x-www-form-urlencoded"


def _enter(site: Site, name: str = "ana", password: str = PASSWORD, **headers: str) -> tuple[int, dict[str, str], str]:
    form = urlencode({"name": name, "password": password, "back": "/handbook/audit"}).encode()
    return site.ask("/login", form, content_type=FORM, origin=site.url, **headers)


def _cookie(answer: tuple[int, dict[str, str], str]) -> str:
    return answer[1]["set-cookie"].partition(";")[0]


def test_a_stranger_gets_the_way_in_and_nothing_else(site: Site) -> None:
    for path in ("/", "/handbook/traces", "/audit.json", "/metrics", "/openapi.json", "/api/store/1/who", "/v1/traces"):
        status, headers, body = site.ask(path, b"{}" if path.startswith(("/api", "/v1")) else None)
        assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="afere"') and "key" in body, path
    status, headers, _ = site.ask("/handbook/traces?q=status:error", accept="text/html")
    assert (status, headers["location"]) == (303, "/login?back=%2Fhandbook%2Ftraces%3Fq%3Dstatus%3Aerror")
    assert site.ask("/healthz")[0] == site.ask("/readyz")[0] == site.ask("/login", accept="text/html")[0] == 200
    assert site.ask("/audit.json", authorization="Bearer afere_0_guess")[0] == 401


def test_a_program_that_may_only_send_is_told_what_keeping_its_versions_takes(site: Site, tmp_path: Path) -> None:
    (tmp_path / "afere.yaml").write_text("project: handbook\n")
    (tmp_path / "app.py").write_text(
        "import afere\n\n@afere.tool\ndef up(x: str) -> str:\n    'Upper.'\n    return x.upper()\n\n"
        "@afere.chain\ndef qa(x: str) -> str:\n    return up(x)\n\nrun = qa.run('a')\nprint(run.trace_id, afere.flush().lost)\n"
    )

    def ran(scope: str) -> tuple[str, str]:
        known = {**os.environ, "AFERE_STORE": site.url, "AFERE_KEY": site.key(scope)}
        done = subprocess.run(
            [sys.executable, "app.py"], check=False, cwd=tmp_path, env=known, capture_output=True, text=True, timeout=60
        )
        trace_id, lost = done.stdout.split()
        trace = site.session.spans.trace(trace_id)
        assert (lost, done.returncode) == ("0", 0) and trace is not None and len(trace.spans) == 2
        return done.stderr, str([ref for span in trace.spans for ref, _ in span.artifacts])

    said, _ = ran("ingest")
    told = [line for line in said.splitlines() if "afere key create NAME --project handbook --scope write." in line]
    assert [line.partition(":")[0] for line in told] == ["chain qa", "tool up"] and "--scope read" not in said
    said, used = ran("write")
    assert said == "" and "chain:qa" in used and "tool:up@1" in used


def test_a_log_in_is_a_cookie_that_scripts_and_other_sites_do_not_get(site: Site) -> None:
    site.session.actors.add_person("ana", role="editor", project="handbook", password=PASSWORD)
    wrong = _enter(site, password="not the password")
    unknown = _enter(site, name="nobody")
    assert (wrong[0], unknown[0]) == (401, 401) and "set-cookie" not in {**wrong[1], **unknown[1]}
    answer = _enter(site)
    assert (answer[0], answer[1]["location"]) == (303, "/handbook/audit")
    flags = {part.strip().lower() for part in answer[1]["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/"} <= flags and "secure" not in flags  # plain http, on loopback
    assert site.ask("/handbook/audit", accept="text/html", cookie=_cookie(answer))[0] == 200
    assert site.ask("/login", urlencode({"name": "ana", "password": PASSWORD, "back": "//evil.example"}).encode(),
                    content_type=FORM, origin=site.url)[1]["location"] == "/"  # fmt: skip
    out = site.ask("/logout", b"", origin=site.url, cookie=_cookie(answer))
    assert out[0] == 303 and site.ask("/audit.json", cookie=_cookie(answer))[0] == 401


def test_another_sites_page_changes_nothing_with_somebodys_log_in(site: Site) -> None:
    site.session.actors.add_person("ana", role="editor", project="handbook", password=PASSWORD)
    cookie = _cookie(_enter(site))
    site.session.put("prompt", "answer", "a")
    move = urlencode({"name": "prompt:answer", "alias": "production", "to": "prompt:answer@1", "why": "x"}).encode()
    for told in ({"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}, {"origin": "null"}, {}):
        assert site.ask("/handbook/aliases", move, content_type=FORM, cookie=cookie, **told)[0] == 403
    assert site.session.find("aliases").items == ()
    assert site.ask("/handbook/aliases", move, content_type=FORM, cookie=cookie, origin=site.url)[0] == 201
    assert site.session.find("aliases").items[0].by == "person:ana"


def test_guessing_a_password_is_slowed_down(site: Site) -> None:
    site.session.actors.add_person("ana", role="viewer", project="handbook", password=PASSWORD)
    for _ in range(Failures.MOST):
        assert _enter(site, password="a wrong guess")[0] == 401
    status, headers, body = _enter(site)  # also with the right one
    assert status == 429 and 0 < int(headers["retry-after"]) <= Failures.WINDOW and "Try again" in body
    site.session.actors.add_person("ben", role="viewer", project="handbook", password=PASSWORD)
    assert _enter(site, name="ben")[0] == 303


def test_a_viewer_sees_and_changes_nothing(site: Site) -> None:
    site.session.actors.add_person("vera", role="viewer", project="handbook", password=PASSWORD)
    site.session.put("prompt", "answer", "a")
    cookie = _cookie(_enter(site, name="vera"))
    assert site.ask("/handbook/prompts/answer", accept="text/html", cookie=cookie)[0] == 200
    changes = {
        "/handbook/aliases": {"name": "prompt:answer", "alias": "production", "to": "prompt:answer@1", "why": "x"},
        "/handbook/scores": {"target": "prompt:answer@1", "name": "good", "value": "yes"},
        "/handbook/views": {"name": "mine", "filter": "status:error"},
    }
    for path, given in changes.items():
        status, _, body = site.ask(path, urlencode(given).encode(), content_type=FORM, cookie=cookie, origin=site.url)
        assert status == 403 and "person:vera may not" in body, path
    assert site.session.find("aliases").items == site.session.find("scores").items == ()


def test_an_invitation_serves_once_and_a_removed_person_is_out_at_once(site: Site) -> None:
    invitation = site.session.actors.add_person("ana", role="editor", project="handbook")
    page = site.ask(f"/invitation/{invitation}", accept="text/html")
    assert page[0] == 200 and "ana" in page[2]
    sent = {"content_type": FORM, "origin": site.url}
    assert site.ask(f"/invitation/{invitation}", b"password=short", **sent)[0] == 400
    answer = site.ask(f"/invitation/{invitation}", urlencode({"password": PASSWORD}).encode(), **sent)
    assert answer[0] == 303 and site.ask("/audit.json", cookie=_cookie(answer))[0] == 200
    assert site.ask(f"/invitation/{invitation}", urlencode({"password": "another one!"}).encode(), **sent)[0] == 404
    assert site.ask("/invitation/guess", accept="text/html")[0] == 404
    assert _enter(site)[0] == 303
    site.session.actors.remove_person("ana")
    assert site.ask("/audit.json", cookie=_cookie(answer))[0] == 401 and _enter(site)[0] == 401


def test_a_revoked_or_expired_key_is_refused_from_the_next_request_on(site: Site) -> None:
    key = site.key("read")
    bearer, basic = f"Bearer {key}", "Basic " + b64encode(f"anyone:{key}".encode()).decode()
    assert [site.ask("/audit.json", authorization=how)[0] for how in (bearer, basic)] == [200, 200]
    assert site.ask("/audit.json", x_api_key=key)[0] == 200
    known = list(site.session.actors.keys())
    kept = next(one for one in known if key.startswith(f"afere_{one.id}"))
    site.session.actors.revoke(kept.id)
    status, _, body = site.ask("/audit.json", authorization=bearer)
    assert status == 401 and "revoked" in body
    assert site.ask("/audit.json", authorization=f"Bearer {site.key('read', seconds=0.001)}")[0] == 401


def test_a_key_of_one_project_is_a_stranger_in_another(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    other = site.session.of("secret", site.session.rights)
    kept = other.put("prompt", "plan", "the plan", blob=b"the whole plan")
    other.append(Score("ab" * 16, "good", True, "user:1"))
    other.spans.write([Span("ab" * 16, "cd" * 8, "op", 1, end=2, status="ok")])
    key = site.key("write")
    for path in ("/secret", "/secret/prompts/plan", "/secret/traces.json", "/secret.json", "/secret/audit.json"):
        status, _, body = site.ask(path, authorization=f"Bearer {key}")
        assert status == 403 and "has no access to project" in body and "the plan" not in body, path
    assert site.ask("/absent/traces.json", authorization=f"Bearer {key}")[0] == 403  # as where there is no such project
    for path in ("/traces/abababab.json", "/artifacts/prompt:plan@1.json", f"/artifacts/{kept.hash}.json"):
        assert site.ask(path, authorization=f"Bearer {key}")[0] == 404
    assert json.loads(site.ask("/scores.json", authorization=f"Bearer {key}")[2])["items"] == []
    sent = site.ask(
        "/v1/traces", b"{}", authorization=f"Bearer {key}", content_type="application/json", afere_project="secret"
    )
    own = site.ask("/v1/traces", b"{}", authorization=f"Bearer {key}", content_type="application/json")
    assert (sent[0], own[0]) == (200, 200)  # the key's project goes before what is asked for
    monkeypatch.setenv("AFERE_KEY", key)
    with afere.store.open(site.url) as session:
        mine = session.put("prompt", "mine", "x", blob=b"mine")
        assert session.blob(str(mine.blob)) == b"mine"
        with pytest.raises(NotFound, match="Nothing in project 'handbook' names"):
            session.blob(str(kept.blob))
        with pytest.raises(Refused, match="has not put"):  # or who guesses a digest could open it by naming it
            session.put("prompt", "curious", {"see": kept.blob})
        with pytest.raises(Refused, match="has not put"):
            session.put_once(None, "prompt", "curious", "x", blob=kept.blob)
        with pytest.raises(Refused, match="has not put"):
            session.append(Score(mine.ref, "good", True, "service:ci", data={"see": kept.blob}))
        with pytest.raises(NotFound, match="Nothing in project 'handbook' names"):
            session.blob(str(kept.blob))
        same = session.put("prompt", "same", "x", blob=b"the whole plan")  # who has the bytes may say so
        assert (same.blob, session.blob(str(same.blob))) == (kept.blob, b"the whole plan")
        again = session.put("prompt", "again", {"see": mine.blob})
        assert again.version == 1
        with pytest.raises(Refused, match="no access"):
            session.spans.of("secret").find()
        with pytest.raises(Refused, match="administers no project"):
            session.actors.keys()
        with pytest.raises(Refused, match="needs: admin"):
            session.actors.create_key("more", project="handbook", scopes=["admin"])


def test_verify_names_nothing_of_projects_that_are_not_ones_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.session.of("secret", site.session.rights).put("prompt", "plan", "the plan")
    site.session.put("prompt", "mine", "x")
    with site.session._database.write() as connection:
        connection.execute("UPDATE artifacts SET why='edited'")
    assert any("prompt:plan" in problem for problem in site.session.verify())
    monkeypatch.setenv("AFERE_KEY", site.key("read"))
    with afere.store.open(site.url) as session:
        problems = session.verify()
    assert len(problems) == 2 and any("prompt:mine" in problem for problem in problems)
    assert not any("plan" in problem or "secret" in problem for problem in problems)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
def test_https_with_a_certificate_of_ones_own(project: Path) -> None:
    cert, key_file = project / "cert.pem", project / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key_file),
         "-out", str(cert)], check=True, capture_output=True,
    )  # fmt: skip
    with afere.store.open(project / ".afere", project="handbook") as session:
        session.actors.add_person("ana", role="viewer", project="handbook", password=PASSWORD)
        key = session.actors.create_key("app", project="handbook", scopes=["write"])[0]
        with running(session, Front(cert, key_file, login=True)) as site:
            assert site.url.startswith("https://")
            code = "import afere.store\nwith afere.store.open() as s:\n print(s.put('prompt', 'answer', 'a').ref, s.project)"
            environment = {"AFERE_STORE": site.url, "AFERE_KEY": key, "SSL_CERT_FILE": str(cert)}
            told = subprocess.run(
                [sys.executable, "-c", code], cwd=project, env=environment, capture_output=True, text=True, check=False
            )
            assert told.stdout.split() == ["prompt:answer@1", "handbook"], told.stderr
            trusting = replace(site, tls=ssl.create_default_context(cafile=cert))
            answer = _enter(trusting)
            assert answer[0] == 303 and "secure" in answer[1]["set-cookie"].lower()


def test_behind_a_proxy_the_visitors_address_and_scheme_are_believed(project: Path) -> None:
    with afere.store.open(project / ".afere", project="handbook") as session:
        session.actors.add_person("ana", role="viewer", project="handbook", password=PASSWORD)
        with running(session, Front(proxy=("127.0.0.1",))) as site:
            form = urlencode({"name": "ana", "password": PASSWORD}).encode()
            own = {"content_type": FORM, "x_forwarded_proto": "https", "host": "afere.example"}
            inside = site.ask("/login", form, **own, origin="https://afere.example", x_forwarded_for="203.0.113.7")
            assert inside[0] == 303 and "secure" in inside[1]["set-cookie"].lower()
            assert site.ask("/login", form, **own, origin="http://afere.example")[0] == 403
            wrong = urlencode({"name": "ana", "password": "a wrong guess"}).encode()
            tries = [
                site.ask("/login", wrong, **own, origin="https://afere.example", x_forwarded_for="203.0.113.9")[0]
                for _ in range(Failures.MOST + 1)
            ]
            assert tries == [401] * Failures.MOST + [429]
            other = site.ask("/login", form, **own, origin="https://afere.example", x_forwarded_for="203.0.113.7")
            assert other[0] == 303  # another visitor of the same proxy


def test_forwarded_headers_of_others_are_not_believed(site: Site) -> None:
    site.session.actors.add_person("ana", role="viewer", project="handbook", password=PASSWORD)
    for n in range(Failures.MOST):
        assert _enter(site, password="a wrong guess", x_forwarded_for=f"203.0.113.{n}")[0] == 401
    assert _enter(site, x_forwarded_for="203.0.113.99")[0] == 429


def test_a_server_beyond_loopback_does_not_start_without_anybody_to_let_in(project: Path) -> None:
    with afere.store.open(project / ".afere", project="handbook") as session:
        for front, host in ((Front(), "0.0.0.0"), (Front(proxy=("127.0.0.1",)), "127.0.0.1")):
            with pytest.raises(Refused, match="afere key create"):
                Server(session, host=host, port=0, front=front)
        session.actors.create_key("app", project="handbook", scopes=["write"])
        with running(session, Front(), "0.0.0.0") as site:
            assert site.ask("/audit.json")[0] == 401
