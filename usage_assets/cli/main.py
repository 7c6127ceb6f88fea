"""The command line, `usage-assets`. Bad input is one line on stderr and exit code 2, before anything is changed.

This module imports no command. A command is in the module of its name, or in the feature that adds it
(features/__init__.py). It is imported when it is called.
"""

import atexit
import gc
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import NoReturn

import click

from usage_assets.cli.interrupts import CTRL_C, end, noticed
from usage_assets.cli.terminal import guard_terminals, open_closed_streams
from usage_assets.core.errors import ANOTHER_USER, UserError, one_line
from usage_assets.core.features import features, missing_commands
from usage_assets.core.private import keep_private

OURS: Mapping[str, str] = {
    "accounting": "Compare the file's entries about money with the stored ones.",
    "backfill": "Fetch, store and compute days, in runs that the UI shows.",
    "capture": "Save a day's real answers as sanitized files.",
    "dev": "Serve Dagster's UI, schedules and sensors until Ctrl-C.",
    "doctor": "Check keys, Port, warehouse and Dagster; say what to do.",
    "new-provider": "Write a package for a provider of your own, with tests.",
    "sandbox": "Serve emulated providers and Port until Ctrl-C.",
}
"""Command -> first line of its help. ``cli.<command>.<command>`` is the click command; its docstring follows."""
OF_FEATURES = {
    name: (each.package, line) for each in features().values() for name, line in each.feature.commands.items()
}
UNREADABLE_LINES: set[object] = set()
"""Lines of ``.env`` that a warning has named."""
COMMANDS = dict(sorted({**OURS, **{name: line for name, (_, line) in OF_FEATURES.items()}}.items()))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command of the arguments, or of the command line.

    Exit codes: 0 all done, 1 something failed, 2 bad input, 130 interrupted.
    """
    gc.set_threshold(100_000)  # what a command imports and makes stays: to look for garbage took a sixth of its time
    atexit.register(gc.freeze)  # or Python goes through all of it once more when it ends: a tenth of a backfill
    open_closed_streams()
    keep_private()
    guard_terminals()
    logging.getLogger("usage_assets").addHandler(logging.NullHandler())  # a backfill shows them
    logging.getLogger("dotenv.main").addFilter(_is_new)
    with noticed():
        try:
            _run(arguments)
        except BaseException as error:
            if CTRL_C.came or isinstance(error, KeyboardInterrupt | click.Abort):
                end()
            raise


def _is_new(record: logging.LogRecord) -> bool:
    """Name ``.env`` where a line of it cannot be read, and say so once: a command reads the file several times."""
    record.msg = ".env, line %s: cannot be read and is left out: write NAME=value"
    known = record.args in UNREADABLE_LINES
    UNREADABLE_LINES.add(record.args)
    return not known


def _run(arguments: Sequence[str] | None) -> NoReturn:
    try:
        for text in (str(Path.cwd()), *(sys.argv[1:] if arguments is None else arguments)):
            text.encode()
    except FileNotFoundError:
        _refuse("the current folder was deleted: change to one that exists (cd), and run this again")
    except UnicodeEncodeError as error:
        _refuse(f"{error.object!r}: is not UTF-8, and DuckDB reads nothing else: rename it, or use a UTF-8 locale")
    try:
        code = cli.main(arguments, "usage-assets", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "usage-assets"
        _refuse(f"{error.format_message()} ({command} --help)")
    except UserError as error:
        _refuse(str(error))
    except OSError as error:  # a full disk, for example, also behind stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try again when it ends
        if isinstance(error, BrokenPipeError):  # who read it has what it wanted
            sys.exit(1)
        way_out = f": {ANOTHER_USER}" if isinstance(error, PermissionError) else ""
        _refuse(f"{error.filename or 'stdout'}: {error.strerror or error}{way_out}")


def _refuse(message: str) -> NoReturn:
    click.echo(f"usage-assets: {one_line(message)}", err=True)
    sys.exit(2)


class LazyGroup(click.Group):
    """A group that imports a command only when it is called.

    Dagster and DuckDB take seconds to import. The help of the group and the completion of command names need neither.
    """

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and import it. One of a missing extension says what to install."""
        if args and (reason := missing_commands().get(args[0])):
            from usage_assets.cli.access import refused  # noqa: PLC0415 - no other command is slowed down

            return args[0], refused(args[0], reason), args[1:]
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and load(str(listed.name)), rest


def load(name: str) -> click.Command:
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # httpx's own command, which imports rich
    function = name.replace("-", "_")
    command: click.Command = resolve_name(f"{_module_of(name, function)}:{function}")
    if command.short_help is None:
        command.short_help = COMMANDS[name]
        command.help = "\n\n".join(filter(None, (COMMANDS[name], command.help)))
    return command


def _module_of(name: str, function: str) -> str:
    if name not in OF_FEATURES:
        return f"usage_assets.cli.{function}"
    package, _ = OF_FEATURES[name]
    folder = find_spec(f"{package}.{function}")
    return f"{package}.{function}.command" if folder and folder.submodule_search_locations else f"{package}.command"


@click.group(
    cls=LazyGroup,
    commands=[click.Command(name, help=line) for name, line in COMMANDS.items()],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="usage-assets", message="%(prog)s %(version)s")
def cli() -> None:
    """Usage and cost of AI providers as daily Dagster assets."""
