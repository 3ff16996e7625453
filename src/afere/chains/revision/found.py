"""What ran without having been reached: it joins the revision, openly, as `found`.

Spans say which prompts, components, tools, indexes and datasets ran. One that the revision does not have is kept by the
identity of its static part, in the store: the next capture with that part, here or in another process, begins with it.
When any part changes, it has to be found anew.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import cast

from afere.base.artifact import Artifact, parse_ref
from afere.base.canonical import Json
from afere.base.errors import NotFound
from afere.base.score import Score
from afere.base.span import Span
from afere.chains.revision.named import Named
from afere.chains.revision.record import BY
from afere.chains.revision.revision import Revision
from afere.store import Session

Ran = tuple[str, str]  # the reference and hash of an artifact that ran
Leads = Mapping[str, tuple[str, ...]]  # role, such as `prompt extra` -> references

_KINDS = ("component", "prompt", "tool", "index", "dataset")
_VARIANTS = 8  # of one component with other models or parameters; more are no part of what the chain is
_KNOWN: dict[tuple[str, str, str, str], Leads] = {}  # folder, project, name, identity of the static part
_JOINED: weakref.WeakKeyDictionary[Revision, tuple[Leads, Revision]] = weakref.WeakKeyDictionary()


def with_found(revision: Revision, spans: Iterable[Span]) -> Revision:
    """The revision with what these spans say ran and it does not name; itself if there is nothing new."""
    known = {role.partition(" ")[2] for role in revision.uses}
    ran = {pair for span in spans for pair in span.artifacts}
    leads = {
        f"{parsed.kind} {parsed.name}": (ref,)
        for ref, _ in sorted(_of_interest(ran, revision.parts))
        if (parsed := parse_ref(ref)).name not in known
    }
    return _joined(revision, leads)


def unreached(artifact: Artifact, ran: Collection[Ran]) -> set[Ran]:
    """What of that which ran is neither used by a stored revision nor among its parts."""
    known = {use.hash for use in artifact.uses}
    left = {pair for pair in ran if pair[1] not in known}
    parts = cast("dict[str, dict[str, Json]]", artifact.content)["parts"] if left else dict[str, Json]()
    return _of_interest(left, parts, also=ran)


def with_ran(revision: Revision, ran: Collection[Ran], session: Session) -> Revision:
    """The revision with what earlier runs of the same static part found, and with `ran`, which is kept for later ones."""
    place = (str(session.folder), session.project, revision.name, revision.static)
    if place not in _KNOWN:
        _KNOWN[place] = _kept(revision, session)
    joined = _joined(revision, _KNOWN[place])
    used = {artifact.hash for one in joined.uses.values() if (artifact := one.put(session))} if ran else set[str]()
    leads = dict(_KNOWN[place])
    for ref, hash_ in sorted(_of_interest(ran, revision.parts)):
        if hash_ not in used:
            parsed = parse_ref(ref)
            role = f"{parsed.kind} {parsed.name}"
            leads[role] = _more(leads.get(role, ()), ref, hash_, session)
    if leads == _KNOWN[place]:
        return joined
    _KNOWN[place] = leads
    data: dict[str, Json] = {"found": {role: list[Json](refs) for role, refs in leads.items()}}
    session.append(Score(f"chain:{revision.name}", "found", revision.static, by=BY, data=data))
    return _joined(revision, leads)


def _of_interest(ran: Collection[Ran], parts: Mapping[str, object], also: Collection[Ran] = ()) -> set[Ran]:
    """Without the prompts that ran as components, and without the tools whose function is a part."""
    kinds = {pair: parse_ref(pair[0]) for pair in ran}
    components = {parse_ref(ref).name for ref, _ in (*kinds, *also) if ref.startswith("component:")}
    return {
        pair
        for pair, ref in kinds.items()
        if ref.kind in _KINDS
        and not (ref.kind == "prompt" and ref.name in components)
        and not (ref.kind == "tool" and _has_tool(parts, ref.name))
    }


def _has_tool(parts: Mapping[str, object], name: str) -> bool:
    """Whether a tool is a function that was reached."""
    from afere.chains.tool import find

    tool = find(name)
    names = {name, tool.fn.__qualname__, tool.fn.__qualname__.partition(".")[0]} if tool else {name}
    return any(key.rpartition(" in ")[0].partition(" ")[2] in names for key in parts)


def _more(before: tuple[str, ...], ref: str, hash_: str, session: Session) -> tuple[str, ...]:
    """The references of one role with one more.

    An index that was the newest stays the newest, and a tool is what it is now. A component adds to those with its prompt
    and another model or parameters; an edited prompt takes the place of what it was.
    """
    parsed = parse_ref(ref)
    bare = f"{parsed.kind}:{parsed.name}"
    if parsed.kind == "tool":
        return (bare,)
    if parsed.kind == "index":
        newest = _stored(bare)(session)
        return (bare,) if newest is not None and newest.hash == hash_ else (ref,)
    if parsed.kind == "component":
        same = tuple(one for one in before if _prompt(one, session) == _prompt(ref, session))
        return same if len(same) >= _VARIANTS or ref in same else (*same, ref)
    return (ref,)


def _prompt(ref: str, session: Session) -> str:
    """The hash of a component's prompt."""
    component = _stored(ref)(session)
    return next((use.hash for use in component.uses if use.role == "prompt"), "") if component else ""


def _kept(revision: Revision, session: Session) -> Leads:
    """What earlier processes found of the same static part."""
    cursor = None
    while True:
        page = session.find("scores", target=f"chain:{revision.name}", name="found", by=BY, limit=100, cursor=cursor)
        for score in page.items:
            if score.value == revision.static:
                found = cast("dict[str, list[str]]", score.data["found"])
                return {role: tuple(refs) for role, refs in found.items()}
        cursor = page.next
        if cursor is None:
            return {}


def _joined(revision: Revision, leads: Leads) -> Revision:
    """The same leads give the same object, which knows that it was put."""
    if not leads:
        return revision
    known = _JOINED.get(revision)
    if known is None or known[0] != leads:
        known = _JOINED[revision] = (leads, _join(revision, leads))
    return known[1]


def _join(revision: Revision, leads: Leads) -> Revision:
    entries: list[dict[str, Json]] = [{"part": role, "from": revision.entry} for role in sorted(leads)]
    uses: dict[str, Named] = {}
    for role, refs in leads.items():
        for number, ref in enumerate(refs, start=1):
            named = f"found {role}" if number == 1 else f"found {role} {number}"
            uses[named] = Named(named, _stored(ref))
    notes = {f"{role} was found by running" for role in leads}
    return replace(
        revision, found=tuple(entries), uses={**revision.uses, **uses},
        notes=tuple(sorted({*revision.notes, *notes})), _kept={},
    )  # fmt: skip


def _stored(ref: str) -> Callable[[Session], Artifact | None]:
    def get(session: Session) -> Artifact | None:
        from afere.chains.tool import find

        parsed = parse_ref(ref)
        tool = find(parsed.name) if parsed.kind == "tool" else None
        if tool is not None:
            return tool.put(session)
        try:
            return session.get(ref)
        except NotFound:
            return None

    return get
