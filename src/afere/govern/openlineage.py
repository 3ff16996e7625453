"""Lineage as OpenLineage run events, for catalogues that read these (https://openlineage.io, spec 2-0-2)."""

from __future__ import annotations

import uuid
from importlib.metadata import version

from afere.base.canonical import Json
from afere.govern.gathering import Lineage

_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_PRODUCER = f"https://github.com/afere/afere/releases/tag/{version('afere')}"


def openlineage(found: Lineage, project: str, *, at: str) -> list[Json]:
    """One completed run for each thing that uses others: what it uses are its inputs, it is the output.

    The namespace is `afere://PROJECT`. Run ids are made of the names, so that the same lineage sent twice is no news.
    """
    namespace = f"afere://{project}"
    sides = [side for side in (found.up, found.down) if side is not None]
    when = {item.ref: item.at for side in sides for item in side.items} | {found.subject.ref: found.subject.at}
    inputs: dict[str, list[str]] = {}
    for side in sides:
        for link in side.links:
            inputs.setdefault(link.source, []).append(link.target)
    return [
        {
            "eventType": "COMPLETE", "eventTime": when.get(source) or at, "producer": _PRODUCER, "schemaURL": _SCHEMA,
            "run": {"runId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace}/{source}"))},
            "job": {"namespace": namespace, "name": source},
            "inputs": [{"namespace": namespace, "name": target} for target in dict.fromkeys(used)],
            "outputs": [{"namespace": namespace, "name": source}],
        }
        for source, used in inputs.items()
    ]  # fmt: skip
