"""`afere key` and `afere user`: who may ask a server, programs by key and people by account."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from afere.base.actor import EVERY, ROLES, SCOPES
from afere.base.errors import BadInput
from afere.cli.common import Place, placed

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS = {"h": 3_600.0, "d": 86_400.0}


def _duration(text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,6})([hd])", text)
    if found is None:
        raise BadInput(f"--expires {text!r}: a number of hours or days, such as 12h or 90d.")
    return int(found[1]) * _SECONDS[found[2]]


@click.group(no_args_is_help=True)
def key() -> None:
    """Keys for programs that talk to a server: made, listed, revoked."""


@key.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("write",),
    show_default=True,
    help="ingest: send spans and scores, see nothing. read: see. write: both, and change. admin: keys, accounts, erasure. "
    "May be repeated.",
)
@click.option("--expires", metavar="90d", help="Hours or days after which it ends by itself; default: never.")
@click.option("--all-projects", is_flag=True, help="For every project of the store, not only this one.")
@placed
def create(place: Place, name: str, scopes: tuple[str, ...], expires: str | None, all_projects: bool) -> None:
    """Make a key called NAME. It is printed once; only its hash is kept."""
    seconds = _duration(expires)
    with place.session() as session:
        made, kept = session.actors.create_key(
            name, project=EVERY if all_projects else session.project, scopes=scopes, seconds=seconds
        )

    def draw(console: Console) -> None:
        until = f" until {kept.expires[:16]}Z" if kept.expires else ""
        where = "all projects" if kept.project == EVERY else f"project {kept.project}"
        console.print(f"{made}\n", markup=False)
        console.print(
            f"Key {kept.id} ({kept.name}): {', '.join(kept.scopes)} in {where}{until}. It is not shown again.\n"
            f"Use it: AFERE_KEY={made[:15]}...  End it: afere key revoke {kept.id}",
            markup=False,
        )

    place.show({**kept.to_json(), "key": made}, draw)


@key.command("list")
@placed
def list_keys(place: Place) -> None:
    """The keys of every project that you administer, newest first: what they may and how they are, not the keys themselves."""
    with place.session() as session:
        keys = session.actors.keys()

    def draw(console: Console) -> None:
        rows = [
            (one.id, one.name, _where(one.project), ", ".join(one.scopes), one.at[:10], (one.expires or "never")[:10], one.state)
            for one in keys
        ]  # fmt: skip
        _table(
            console,
            ("id", "name", "project", "scopes", "made", "expires", "state"),
            rows,
            "No keys yet: afere key create NAME",
        )

    place.show({"items": [one.to_json() for one in keys], "next": None}, draw)


@key.command()
@click.argument("id")
@placed
def revoke(place: Place, id: str) -> None:
    """End the key ID at once: the next request with it is refused."""
    with place.session() as session:
        ended = session.actors.revoke(id)
    place.show(
        ended.to_json(), lambda console: console.print(f"Key {ended.id} ({ended.name}) is revoked.", markup=False)
    )


@click.group(no_args_is_help=True)
def user() -> None:
    """Accounts for people who open a server's pages: added, listed, removed."""


def _asked_password(wanted: bool) -> str | None:
    if not wanted:
        return None
    if not sys.stdin.isatty():  # a script pipes it in
        return sys.stdin.readline().rstrip("\r\n")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)


_ROLE = click.option(
    "--role",
    type=click.Choice(tuple(ROLES)),
    default="viewer",
    show_default=True,
    help="viewer: see. editor: see and change. admin: keys, accounts, erasure too.",
)
_PASSWORD = click.option(
    "--password", is_flag=True, help="Type the password here; default: a link with which they choose one."
)


@user.command("add")
@click.argument("name")
@_ROLE
@click.option("--all-projects", is_flag=True, help="In every project of the store, not only this one.")
@_PASSWORD
@placed
def add(place: Place, name: str, role: str, all_projects: bool, password: bool) -> None:
    """Give NAME (such as ana.reis) an account, or an account that is there a role in this project."""
    typed = _asked_password(password)
    with place.session() as session:
        project = EVERY if all_projects else session.project
        invitation = session.actors.add_person(name, role=role, project=project, password=typed)
    _told(
        place, {"name": name, "role": role, "project": project}, invitation, f"{name} is {role} in {_where(project)}."
    )


@user.command("list")
@placed
def list_users(place: Place) -> None:
    """The accounts with a role in a project that you administer."""
    with place.session() as session:
        people = session.actors.people()

    def draw(console: Console) -> None:
        rows = [
            (
                one.name, ", ".join(f"{role} in {_where(project)}" for project, role in one.roles) or "no role", one.at[:10],
                "has yet to choose a password" if one.invited else "",
            )
            for one in people
        ]  # fmt: skip
        _table(console, ("name", "roles", "made", ""), rows, "No accounts yet: afere user add NAME")

    place.show({"items": [one.to_json() for one in people], "next": None}, draw)


@user.command("remove")
@click.argument("name")
@placed
def remove(place: Place, name: str) -> None:
    """Take away the account of NAME; open log-ins end at once."""
    with place.session() as session:
        session.actors.remove_person(name)
    place.show({"name": name, "removed": True}, lambda console: console.print(f"{name} has no account any more."))


@user.command("password")
@click.argument("name")
@_PASSWORD
@placed
def password(place: Place, name: str, password: bool) -> None:
    """A new password for NAME: typed here, or by a link with which they choose it. Open log-ins end."""
    typed = _asked_password(password)
    with place.session() as session:
        invitation = session.actors.set_password(name, typed)
    _told(
        place,
        {"name": name},
        invitation,
        f"{name} has a new password." if typed else f"The old password of {name} has ended.",
    )


def _told(place: Place, value: dict[str, Any], invitation: str | None, text: str) -> None:
    store = place.here().store
    server = store.rstrip("/") if "://" in store else "http://YOUR-SERVER:4318"
    link = None if invitation is None else f"{server}/invitation/{invitation}"

    def draw(console: Console) -> None:
        console.print(text, markup=False)
        if link:
            console.print(f"Send them this link; it serves once, within three days:\n{link}", markup=False)

    place.show({**value, "invitation": link}, draw)


def _where(project: str) -> str:
    return "all projects" if project == EVERY else project


def _table(console: Console, names: tuple[str, ...], rows: list[tuple[str, ...]], nothing: str) -> None:
    from rich.table import Table

    if not rows:
        console.print(nothing, markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False)
