"""`afere labels`: what people said of an experiment's outputs, who agrees with whom, and labels in and out of files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afere.base.errors import BadInput
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console

    from afere.evals.labelling.agreeing import Agreed, Pair
    from afere.evals.labelling.labels import Labels
    from afere.evals.stats import Agreement


@click.command()
@click.argument("experiment")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--experiment", "of", metavar="N", help="With import: the experiment that the labels are of.")
@click.option("--name", default="", metavar="NAME", help="Only this judge or human entry (default: all).")
@click.option("--by", metavar="person:NAME", help="With import: who said it, where the file has no column `by`.")
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.csv", help="Write a sheet to fill in."
)
@placed
def labels(
    place: Place, experiment: str, file: Path | None, *, of: str | None, name: str, by: str | None, to: Path | None
) -> None:
    """Who agrees with whom about EXPERIMENT (a number, a reference, or a suite: its newest).

    \b
      afere labels 12                                       agreement of people, and of judges with people
      afere labels 12 --to sheet.csv                        a sheet to fill in and send back
      afere labels import sheet.csv --experiment 12 --by person:ana

    A sheet has the columns case, label, why and by; JSON lines may have the same fields. The page is at /labels/12.
    """
    if experiment == "import":
        _import(place, file, of, name, by)
        return
    if file is not None or of is not None or by is not None:
        raise BadInput(
            "FILE, --experiment and --by belong to: afere labels import FILE --experiment N --by person:NAME"
        )
    found = _labels(place, experiment)
    if to is not None:
        from afere.evals.labelling import sheets

        rows = sheets.write(found, found.sheet(name), to)
        shown = {"file": str(to), "rows": rows}
        place.show(
            shown, lambda console: console.print(f"{rows} outputs in {to}: fill in the column label.", markup=False)
        )
        return
    from afere.evals.labelling.agreeing import agreed, agreements

    table = [agreed(found, found.sheet(name))] if name else agreements(found)
    value: dict[str, Any] = {
        "experiment": found.experiment.ref, "items": [one.to_json() for one in table],
        "can_be_labelled": [one.name for one in found.sheets], "next": None,
    }  # fmt: skip
    place.show(value, lambda console: _draw(console, found, table))


def _import(place: Place, file: Path | None, of: str | None, name: str, by: str | None) -> None:
    if file is None or of is None:
        raise BadInput("Write: afere labels import FILE --experiment N --by person:NAME")
    from afere.evals.labelling import sheets

    found = _labels(place, of)
    kept, skipped = sheets.read(found, found.sheet(name), file, by)
    shown = {"experiment": found.experiment.ref, "name": found.sheet(name).name, "kept": kept, "empty": skipped}
    empty = f", {skipped} without a label" if skipped else ""
    place.show(
        shown, lambda console: console.print(f"{kept} labels kept on {found.experiment.ref}{empty}", markup=False)
    )


def _labels(place: Place, which: str) -> Labels:
    from afere.base.errors import NotFound
    from afere.evals import experiment
    from afere.evals.labelling.labels import Labels
    from afere.evals.references import previous

    session, project = place.session(), place.here()
    number = which.removeprefix("experiment:")
    if number.isdecimal():
        return Labels(experiment(f"experiment:{number}", session=session, project=project))
    last = previous(Path(which).stem if which.endswith((".yaml", ".yml")) else which, session)
    if last is None:
        raise NotFound(f"There is no experiment of a suite called {which!r} yet. Make one with: afere eval {which}")
    return Labels(experiment(last.ref, session=session, project=project))


def _draw(console: Console, found: Labels, table: list[Agreed]) -> None:
    from afere.evals.report import interval, number

    if not found.sheets:
        console.print(
            f"{found.experiment.ref} has no judge and no human entry, so there is nothing to label.", markup=False
        )
        return
    console.print(f"{found.experiment.ref}  {found.experiment.name}", markup=False)
    for one in table:
        people = ", ".join(f"{who.removeprefix('person:')} {n}" for who, n in one.people.items())
        console.print(f"\n{one.name}: {one.labels} of {one.of} outputs labelled ({people or 'nobody'})", markup=False)
        for pair in [*([one.judge] if one.judge else []), *one.pairs]:
            console.print(f"  {_pair(pair, one.weighted)}", markup=False)
        for kind, all_ in (("Krippendorff's alpha", one.alpha), ("Fleiss' kappa", one.fleiss)):
            if all_ is not None and all_.value is not None:
                console.print(f"  all people: {kind} {_interval(all_)}, {all_.n} outputs", markup=False)
        if one.corrected is not None:
            e = one.corrected.estimate
            console.print(
                f"  people would say {number(e.value)} ({interval(e.low, e.high)}, 90%): {one.corrected.rests_on}",
                markup=False,
            )
        if one.labels and not one.decides:
            console.print("  under 50 labels: shown, not decided", markup=False)
    if not table:
        names = ", ".join(one.name for one in found.sheets)
        console.print(
            f"nobody has labelled anything yet. Label {names} at /labels/{found.experiment.number} of: afere ui",
            markup=False,
        )


def _pair(pair: Pair, weighted: bool) -> str:
    kind = "weighted kappa" if weighted else "kappa"
    raw = "" if pair.kappa.raw is None else f"agree on {pair.kappa.raw:.0%} of {pair.kappa.n}"
    by = ", ".join(f"{label} {share:.0%}" for label, share in pair.kappa.by_label.items())
    return f"{_who(pair.a)} and {_who(pair.b)} {raw}; {kind} {_interval(pair.kappa)}; by label: {by}"


def _who(name: str) -> str:
    return name.removeprefix("person:")


def _interval(one: Agreement) -> str:
    if one.value is None:
        return "not defined (only one label was said)"
    ends = "" if one.low is None or one.high is None else f" ({one.low:.2f} to {one.high:.2f})"
    return f"{one.value:.2f}{ends}"
