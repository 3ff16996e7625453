"""What other tools have, brought in: traces, prompts, datasets, scores. Each import ends with what was not kept, and why."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from afere.base.errors import BadInput
from afere.exchange.bringing import Bringing, Report

if TYPE_CHECKING:
    from afere.store import Session

# source -> (its module here, what it reads)
SOURCES: Mapping[str, tuple[str, str]] = {
    "otlp": ("otlp", "OTLP files: protobuf, JSON or JSON lines, alone or in a folder"),
    "mlflow": (
        "mlflow",
        "MLflow's SQLite file, such as mlflow.db, or the address of its server: traces, assessments, prompts, datasets",
    ),
    "phoenix": (
        "phoenix",
        "phoenix.db, Phoenix's SQLite file: traces, annotations, prompts, datasets; or its client's exports: JSON, Parquet",
    ),
    "langsmith": ("langsmith", "LangSmith's runs, feedback and examples as JSON lines, a file or a folder"),
    "langfuse": (
        "langfuse",
        "Langfuse's exports of observations, traces, scores, prompts, datasets: JSON or JSON lines, a file or a folder",
    ),
    "opik": ("opik", "what `opik export` wrote: traces, scores, datasets, prompts, a folder or a file"),
    "promptfoo": (
        "promptfoo",
        "promptfoo.db, or what `promptfoo eval -o FILE.json` wrote: prompts, tests, answers, scores",
    ),
    "braintrust": (
        "braintrust",
        "Braintrust's events of logs, experiments and datasets, and prompts: JSON or JSON lines, a file or a folder",
    ),
}


def bring(
    source: str, place: str, session: Session, *, watch: Callable[[Mapping[str, int]], None] | None = None
) -> Report:  # fmt: skip
    """Bring in what a tool has. Again is harmless: nothing is doubled.

    source: one of SOURCES. place: a file, a folder or a URL, as the source takes. BadInput where it cannot be read at all;
    what cannot be read within it is named in the report, and the rest is kept. `watch` is told now and then how many
    of each kind there are.
    """
    if source not in SOURCES:
        raise BadInput(f"There is no source {source!r}. Sources: {', '.join(SOURCES)}.")
    if "://" not in place and not Path(place).exists():
        raise BadInput(f"{place}: there is no such file or folder.")
    module = importlib.import_module(f"afere.exchange.{SOURCES[source][0]}")
    bringing = Bringing(session, source, watch=watch)
    module.bring(place, bringing)
    return bringing.done()
