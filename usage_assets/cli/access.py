"""What several commands open: connections and the warehouse. Timeouts are short, because a person waits.

What only one command needs is in its own module.
"""

import shlex
from collections.abc import Callable, Sequence

import click

from usage_assets.config.settings import Connection, Settings, SettingsError
from usage_assets.core import without_pandas
from usage_assets.core.errors import UserError
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.opened import warehouse_at
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.values import WarehouseError

ATTEMPTS = 2
"""A person waits: whoever does not answer now is reported, not waited for."""
SECONDS_FOR_THE_LOCK = 5
"""How long a command waits for the database file before it starts; its runs have the warehouse's own patience."""


def refused(name: str, reason: str) -> click.Command:
    """Return a command that only says why it cannot be run."""

    def refuse() -> None:
        raise UserError(reason)

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=refuse, context_settings=anything, add_help_option=False, hidden=True)


def connections_named(settings: Settings, names: Sequence[str], *, keyed: bool = True) -> list[Connection]:
    """The named connections, all where none is named. Raises SettingsError for an unknown one, or where they must be
    ``keyed``, for one without a key."""
    known = {connection.name: connection for connection in settings.own_connections()}
    elsewhere = {connection.name: connection.shard for connection in settings.connections()}
    for name in names:
        if name not in known and name in elsewhere:
            where = f"in shard {elsewhere[name]}" if elsewhere[name] else "in no shard"
            raise SettingsError(f"connection {name!r} is {where}: run this where USAGE_SHARD says so")
        if name not in known:
            raise SettingsError(f"connection {name!r} is unknown; known: {', '.join(known)}")
    chosen = [known[name] for name in dict.fromkeys(names)] or list(known.values())
    # what another connection bills comes after it: then it is computed once
    chosen.sort(key=lambda connection: PROVIDERS[connection.provider].superseded_by is not None)
    for connection in chosen if keyed else ():
        connection.required_key()
    return chosen


def warehouse_now(settings: Settings) -> Warehouse:
    """Return the warehouse, with the patience of a person."""
    return warehouse_at(settings.warehouse, SECONDS_FOR_THE_LOCK)


def complain(text: str) -> None:
    click.echo(text, err=True)


def publish_copy(settings: Settings, say: Callable[[str], object] = complain) -> None:
    """Publish what is stored. A copy that cannot be made is said, and changes no outcome."""
    try:
        publish(warehouse_now(settings))
    except WarehouseError as error:
        say(f"the published copy is out of date: {error}")


def this_command(**changed: object) -> str:
    """Return the command that was typed, as it was understood, with other options: for whoever is to repeat it."""
    context = click.get_current_context()
    words = context.command_path.split()
    for parameter in context.command.params:
        value = changed.get(str(parameter.name), context.params.get(str(parameter.name)))
        values = value if isinstance(value, tuple) else () if value in (None, False) else (value,)
        for each in values:
            option = [max(parameter.opts, key=len)] if isinstance(parameter, click.Option) else []
            words += option if each is True else [*option, str(each)]
    return shlex.join(words)


def hide_pandas() -> None:
    """Hide pandas from the rest of the command, which must compute no forecast: that needs it."""
    without_pandas.hide_pandas()
    click.get_current_context().call_on_close(without_pandas.show_pandas)
