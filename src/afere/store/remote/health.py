"""What can be wrong with a store that a server keeps, as seen from a machine that uses it."""

from __future__ import annotations

from collections.abc import Iterator

from afere.base.errors import AfereError
from afere.base.project import Project
from afere.store.health import Finding, audited, lost
from afere.store.remote.session import connect, place_of
from afere.store.remote.spans import untold


def check_server(project: Project, *, deep: bool = False) -> Iterator[Finding]:
    """Whether the server lets this machine in, what it may do there, and which spans never arrived.

    deep: also its audit log; its files are looked through where they are.
    """
    url = project.store
    try:
        with connect(url, project, None, None, patience=3.0) as session:
            may = [
                scope for scope in ("ingest", "read", "write", "admin") if session.rights.may(scope, session.project)
            ]
            yield Finding(
                "ok", "store", f"{url} lets in {session.actor}, to project {session.project} ({', '.join(may)})"
            )
            if "read" in may:
                yield from lost(session.spans.losses())
            if "read" in may and deep:
                yield from audited(session)
    except AfereError as error:
        yield Finding(
            "error", "store", str(error), "What is written meanwhile waits in each program, up to 20,000 spans."
        )
    yield from lost(untold(place_of(url, project)), " (this machine; the server has not been told yet)")
