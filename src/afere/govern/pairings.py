"""Results by pairing: what a version of a prompt scored with each model, since one that suits one model may not suit another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from afere.base.canonical import Json

if TYPE_CHECKING:
    from afere.base.artifact import Artifact
    from afere.store import Session

_MOST = 5_000  # artifacts that are looked through
_READ = 300  # newest experiments that are read
_BETWEEN = ("experiment", "bakeoff", "decision", "report")  # what is made of experiments, and evaluates nothing itself


@dataclass(frozen=True, slots=True)
class Pairing:
    """The newest experiment on one version of a dataset with a version
    of the prompt and a model; `measures` as the experiment keeps them."""

    version: int
    model: str
    parameters: Mapping[str, Json]
    component: str
    experiment: str
    suite: str
    dataset: str
    at: str
    measures: tuple[Mapping[str, Any], ...]
    cost: float | None

    def to_json(self) -> dict[str, Json]:
        return {
            "version": self.version, "model": self.model, "parameters": dict(self.parameters), "component": self.component,
            "experiment": self.experiment, "suite": self.suite, "dataset": self.dataset, "at": self.at, "cost_per_run": self.cost,
            "measures": [{key: one.get(key) for key in ("name", "value", "low", "high", "n")} for one in self.measures],
        }  # fmt: skip


def pairings(session: Session, name: str) -> tuple[Pairing, ...]:
    """Every pairing of a prompt's versions with models that was evaluated, newest experiment first.

    A pairing is a version of the component; experiments are found by what their target is made of.
    """
    versions = {one.ref: one.version for one in session.find("artifacts", kind="prompt", name=name, limit=200).items}
    if not versions:
        return ()
    found = session.reach(*versions, up=False, most=_MOST)
    kinds = {node.ref: node.kind for node, _ in found.nodes}
    users: dict[str, list[tuple[str, str]]] = {}
    for edge in found.edges:
        users.setdefault(edge.target, []).append((edge.source, edge.role))
    known: dict[str, Artifact] = {}
    best: dict[tuple[str, str], Pairing] = {}
    for prompt, version in versions.items():
        for component, _ in users.get(prompt, ()):
            if kinds.get(component) != "component":
                continue
            for ref in sorted(_experiments(component, users, kinds), key=_number, reverse=True)[:_READ]:
                known.setdefault(ref, session.get(ref))
                one = _pairing(known[ref], session.get(component), version)
                best.setdefault((component, one.dataset), one)
    return tuple(sorted(best.values(), key=lambda one: one.at, reverse=True))


def _experiments(component: str, users: Mapping[str, list[tuple[str, str]]], kinds: Mapping[str, str]) -> set[str]:
    """Experiments whose target is this component, or is made of it."""
    met, found, left = {component}, set[str](), [component]
    while left:
        for source, role in users.get(left.pop(), ()):
            if kinds.get(source) == "experiment":
                if role == "target":
                    found.add(source)
            elif source not in met and kinds.get(source) not in _BETWEEN:
                met.add(source)
                left.append(source)
    return found


def _pairing(experiment: Artifact, component: Artifact, version: int) -> Pairing:
    said = cast("Mapping[str, Any]", experiment.content)
    made = cast("Mapping[str, Any]", component.content)
    measures = tuple(cast("list[Mapping[str, Any]]", said.get("measures") or []))
    cost = next((one["value"] for one in measures if one["name"] in ("cost", "cost.mean")), None)
    dataset = cast("list[str] | None", said.get("dataset"))
    return Pairing(
        version, str(made.get("model")), cast("Mapping[str, Json]", made.get("parameters") or {}), component.ref,
        experiment.ref, str(said.get("name")), dataset[0] if dataset else "", experiment.at, measures, cost,
    )  # fmt: skip


def _number(ref: str) -> int:
    digits = ref.rpartition("@")[2]
    return int(digits) if digits.isdigit() else 0
