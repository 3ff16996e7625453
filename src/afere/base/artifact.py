"""Artifact: a frozen, named value. Reference: how people write which one they mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from afere.base.canonical import Json, digest_of
from afere.base.errors import BadReference

KINDS = (
    "prompt", "component", "chain", "tool", "model", "adapter", "dataset", "index", "scorer", "judge", "suite",
    "policy", "bundle", "experiment", "decision", "report", "view",
)  # fmt: skip
NUMBERED = frozenset({"experiment", "decision", "report"})  # named by a number that counts up in the project

_NAME = r"(?:[a-z][a-z0-9._-]*|[0-9]+)"
_REF = re.compile(
    rf"(?:(?P<kind>{'|'.join(KINDS)}):)?(?P<name>{_NAME})(?:@(?:(?P<number>[0-9]+)|(?P<alias>[a-z][a-z0-9_-]*))|~(?P<hex>[0-9a-f]{{6,64}}))?"
)
_ALIAS = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Ref:
    """`[kind:]name[@number|@alias|~hex]`, parsed. At most one of number, alias and hex is set."""

    name: str
    kind: str | None = None
    number: int | None = None
    alias: str | None = None
    hex: str | None = None

    def __str__(self) -> str:
        prefix = f"{self.kind}:" if self.kind else ""
        if self.number is not None:
            return f"{prefix}{self.name}@{self.number}"
        if self.alias:
            return f"{prefix}{self.name}@{self.alias}"
        return f"{prefix}{self.name}~{self.hex}" if self.hex else f"{prefix}{self.name}"

    @property
    def selected(self) -> bool:
        """Whether the reference names one version, not just a name."""
        return self.number is not None or self.alias is not None or self.hex is not None


def parse_ref(text: str, *, kind: str | None = None) -> Ref:
    """Read a reference; `kind` is the one the place expects when the text names none."""
    match = _REF.fullmatch(text.strip())
    if match is None or match["name"].endswith(".json"):
        raise BadReference(
            f"{text!r} is not a reference. Write [kind:]name[@version|@alias|~hash], such as prompt:answer@3, "
            f"qa@production or chain:qa~1f2e3d. Kinds: {', '.join(KINDS)}."
        )
    number = int(match["number"]) if match["number"] else None
    return Ref(match["name"], match["kind"] or kind, number, match["alias"], match["hex"])


def check_name(name: str, kind: str = "artifact") -> str:
    """The name itself, or BadReference if it cannot name an artifact."""
    if re.fullmatch(_NAME, name) is None or name.endswith(".json"):
        raise BadReference(
            f"{name!r} cannot name a {kind}: start with a small letter, go on with small letters, digits, '.', '_' or '-', "
            "and do not end in .json."
        )
    return name


def slug(text: str) -> str:
    """A text as near to a name as its letters allow: `Résumé Check 2.0` -> `resume-check-2.0`; empty where none is left.

    It may still begin with a digit: what then stands before it is for the caller to say.
    """
    letters = (one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return re.sub(r"[^a-z0-9._-]+", "-", "".join(letters)).strip("-._")


def check_alias(alias: str) -> str:
    """The alias itself, or BadReference."""
    if _ALIAS.fullmatch(alias) is None:
        raise BadReference(
            f"{alias!r} cannot be an alias: start with a small letter, then small letters, digits, '_' or '-'."
        )
    return alias


@dataclass(frozen=True, slots=True)
class Use:
    """An edge: this artifact uses that one, in a role (`as`), such as `prompt answer`."""

    role: str
    ref: str
    hash: str

    def to_json(self) -> Json:
        return {"as": self.role, "ref": self.ref, "hash": self.hash}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A frozen, named value, identified by the hash of its content and of what it uses.

    `content` is plain JSON; a large payload is a blob and `blob` its digest. `version` counts 1, 2, 3 per name.
    """

    kind: str
    name: str
    version: int
    hash: str
    content: Json = None
    blob: str | None = None
    uses: tuple[Use, ...] = ()
    aliases: tuple[str, ...] = ()
    by: str = ""
    at: str = ""
    why: str = ""
    project: str = field(default="default", compare=False)
    made: bool = field(default=False, compare=False)  # by the very `put` that returned it: the version is new

    @property
    def ref(self) -> str:
        """`prompt:answer@3`; a chain revision is named by its hash, `chain:qa~1f2e3d`; experiments by their number."""
        return ref_text(self.kind, self.name, self.version, self.hash)

    def to_json(self) -> Json:
        return {
            "ref": self.ref, "kind": self.kind, "name": self.name, "version": self.version, "hash": self.hash,
            "aliases": list(self.aliases), "uses": [use.to_json() for use in self.uses], "content": self.content,
            "blob": self.blob, "by": self.by, "at": self.at, "why": self.why,
        }  # fmt: skip


def ref_text(kind: str, name: str, version: int, hash_: str) -> str:
    """How people write one version: `prompt:answer@3`, `chain:qa~1f2e3d`, `experiment:43`."""
    if kind in NUMBERED:
        return f"{kind}:{name}"
    return f"chain:{name}~{short(hash_)}" if kind == "chain" else f"{kind}:{name}@{version}"


def copied(role: str) -> bool:
    """Whether an edge in this role says where content was copied from. The content says it itself, so it identifies nothing."""
    return role == "examples" or role.startswith("snippet ")


def identity(kind: str, name: str, content: Json, blob: str | None, uses: Iterable[Use]) -> str:
    """The hash of an artifact: of its kind, name, content, blob and the hashes of what it uses, in any order.

    What a prompt's content was `copied` from is left out: another version of a dataset that says the same makes no other prompt.
    """
    edges: list[Json] = [
        [role, hash_] for role, hash_ in sorted({(use.role, use.hash) for use in uses if not copied(use.role)})
    ]
    return digest_of({"kind": kind, "name": name, "content": content, "blob": blob, "uses": edges})


def short(hash_: str) -> str:
    """The first six hex digits of a digest, as people read them."""
    return hash_.removeprefix("sha256:")[:6]


BROUGHT = "as in "  # how the reason of a move begins that came with an import; behind it the tool


@dataclass(frozen=True, slots=True)
class AliasMove:
    """One move of an alias. `to` None means the alias was taken away."""

    ref: str  # kind:name
    alias: str
    origin: str | None
    to: str | None
    by: str
    at: str
    why: str
    decision: str | None = None

    @property
    def brought(self) -> bool:
        """Whether it came with an import: it was released elsewhere, and not by who imported it."""
        return self.why.startswith(BROUGHT)

    def to_json(self) -> Json:
        return {
            "ref": self.ref, "alias": self.alias, "from": self.origin, "to": self.to, "by": self.by, "at": self.at,
            "why": self.why, "decision": self.decision,
        }  # fmt: skip
