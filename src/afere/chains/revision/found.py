"""What ran without having been reached: it joins the revision, openly, as `found`.

Spans say which prompts, components, tools, indexes and datasets ran. One that the static part does not have is kept by
the identity of that part, so that the next capture begins with it; when any part changes, it has to be found anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from afere.base.artifact import Artifact, parse_ref
from afere.base.canonical import Json
from afere.base.errors import NotFound
from afere.base.span import Span
from afere.chains.revision.named import Named
from afere.chains.revision.revision import Revision
from afere.store import Session

_KINDS = ("component", "prompt", "tool", "index", "dataset")
_FOUND: dict[str, dict[str, tuple[str, str]]] = {}  # identity of the static part -> role -> (reference, hash)
_JOINED: dict[str, tuple[Revision, Revision]] = {}  # what was joined to what, so that the same stays the same


def with_found(revision: Revision, ran: Iterable[Span]) -> Revision:
    """The revision with what these spans say ran and it does not have; itself if there is nothing new."""
    known = {role.partition(" ")[2] for role in revision.uses}
    met = dict(_FOUND.get(revision.static, {}))
    for span in ran:
        for ref, hash_ in span.artifacts:
            parsed = parse_ref(ref)
            if parsed.kind in _KINDS and parsed.name not in known and not _has_tool(revision, parsed.kind, parsed.name):
                met[f"{parsed.kind} {parsed.name}"] = (ref, hash_)
    return _joined(revision, met)


def with_known(revision: Revision) -> Revision:
    """The revision with what earlier runs of the same static part found."""
    if not _FOUND:
        return revision
    base, joined = _JOINED.get(revision.static, (None, revision))
    return joined if base is revision else _joined(revision, _FOUND.get(revision.static, {}))


def _has_tool(revision: Revision, kind: str, name: str) -> bool:
    """Whether a tool is a function that was reached."""
    return kind == "tool" and any(key.startswith(f"function {name} in ") for key in revision.parts)


def _joined(revision: Revision, met: dict[str, tuple[str, str]]) -> Revision:
    components = {role.partition(" ")[2] for role in met if role.startswith("component ")}
    found = {role: place for role, place in met.items() if not (role.startswith("prompt ") and role[7:] in components)}
    already = {str(one["part"]) for one in revision.found}
    if not found.keys() - already:
        return revision
    _FOUND[revision.static] = met
    entries: list[dict[str, Json]] = [{"part": role, "from": revision.entry} for role in sorted(found)]
    uses = {f"found {role}": Named(f"found {role}", _stored(ref, hash_)) for role, (ref, hash_) in found.items()}
    notes = {f"{role} was found by running" for role in found}
    joined = replace(
        revision, found=tuple(entries), uses={**revision.uses, **uses},
        notes=tuple(sorted({*revision.notes, *notes})), _kept={},
    )  # fmt: skip
    _JOINED[revision.static] = (revision, joined)
    return joined


def _stored(ref: str, hash_: str) -> Callable[[Session], Artifact | None]:
    """The newest version of what was found, which is what ran last; else the one that ran."""
    parsed = parse_ref(ref)

    def get(session: Session) -> Artifact | None:
        for wanted in (f"{parsed.kind}:{parsed.name}", f"{parsed.kind}:{parsed.name}~{hash_.removeprefix('sha256:')}"):
            try:
                return session.get(wanted)
            except NotFound:
                continue
        return None

    return get
