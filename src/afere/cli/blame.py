"""`afere blame`: which component's change made a version better or worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from afere.base.errors import Exit
from afere.cli.common import Place, placed
from afere.cli.judged import between
from afere.cli.running import Running, run_options

if TYPE_CHECKING:
    from rich.console import Console

    from afere.base.artifact import Artifact
    from afere.base.canonical import Json
    from afere.evals.blame import Arm


@click.command()
@click.argument("before")
@click.argument("after")
@click.option("--measure", metavar="NAME", help="The measure that is looked at; the suite's first that has numbers.")
@run_options("ask_above", "resume")
@placed
def blame(
    place: Place, before: str, after: str, *, measure: str | None, concurrency: int, max_cost: float | None, dry_run: bool
) -> int:  # fmt: skip
    """Between the experiments BEFORE and AFTER, put each changed component back alone, and say what that changes.

    The code must be what AFTER ran. Answers that were given before come from the cache; the same command goes on where it
    was interrupted. 0 done, 4 something is unfinished.
    """
    from afere import evals
    from afere.evals.blame import Blame

    project = place.here()
    first, second = (evals.experiment(one, project=project) for one in (before, after))
    made = Blame.of(first, second, project, measure=measure)
    how = Running(place, project, concurrency, max_cost, float("inf"), True)
    if dry_run:
        found = made.forecasts(lambda plan: how.forecast([plan])[0])
        said: list[Json] = [{"label": arm.label, "was": list(arm.was), **one.to_json()} for arm, one in found]

        def draw_forecast(console: Console) -> None:
            for arm, one in found:
                calls, cost = between(one.calls), between(one.cost, 4)
                console.print(
                    f"{arm.label} as in {', '.join(arm.was)}: at most {calls} calls, {cost} USD", markup=False
                )

        place.show({"arms": said, "others": list[Json](made.others)}, draw_forecast)
        return Exit.DONE

    def begins(arm: Arm) -> None:
        if not place.json:
            click.echo(
                f"{made.arms.index(arm) + 1} of {len(made.arms)}: {arm.label} as in {', '.join(arm.was)}", err=True
            )

    artifact = made.run(lambda plan, spent: how.perform(plan, spent=spent), concurrency=concurrency, begins=begins)
    record = cast("dict[str, Any]", artifact.content)
    place.show({"ref": artifact.ref, **record}, lambda console: _draw(console, artifact, record))
    return Exit.DONE if record["complete"] else Exit.WORLD_FAILED


def _draw(console: Console, artifact: Artifact, record: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from afere.evals.report import interval

    lost, words = len(record["lost"]), {"better": "made it worse", "worse": "made it better", "open": "not shown"}
    console.print(Text(f"{artifact.ref} {record['name']}: {record['after']} against {record['before']}", "bold"))
    table = Table(box=None, pad_edge=False)
    for name in ("put back", "as in", record["measure"], "90% interval", f"of {lost} lost, restored", "its change"):
        table.add_column(name, justify="left" if name in ("put back", "as in", "its change") else "right")
    for one in record["arms"]:
        found = one["found"]
        was = "" if len(one["was"]) > 1 else ", ".join(one["was"])
        value = "unfinished" if found is None else f"{found['value']:+.3f}" if found["value"] is not None else "?"
        ends = interval(found["low"], found["high"]) if found else ""
        table.add_row(
            escape(one["label"]), was, value, ends, str(len(one["restored"])), words[found["answer"]] if found else ""
        )
    console.print(table)
    console.print(Text(record["says"], "bold"))
    for one in record["others"]:
        console.print(Text(f"! changed too, and not put back: {one}", "yellow"))
    console.print(
        f"{record['assumes']} What is shown holds for all that was put back together (Holm, 5%).",
        style="dim",
        markup=False,
    )
    page = f"/compare/{record['before'].partition(':')[2]}/{record['after'].partition(':')[2]}"
    console.print(f"\nNext: afere ui   the page: {page}", style="dim", markup=False)
