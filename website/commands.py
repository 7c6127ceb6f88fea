"""The page of all commands with their arguments and options, from the commands themselves."""

import inspect
import re
from collections.abc import Iterator

import click

from usage_assets.cli.main import COMMANDS, cli, load
from website.headings import labelled

HEAD = """# Commands

Exit codes: 0 done, 1 something failed, 2 bad input, 130 interrupted. [Reference](reference.md#commands) says where each
is explained.
"""


def page() -> str:
    """Return the page."""
    root = click.Context(cli, info_name="usage-assets")
    return "\n".join([HEAD, *(line for name in COMMANDS for line in _section(load(name), name, root))])


def _section(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    yield labelled(context.command_path, "##")
    yield _prose(command.help or command.short_help or "")
    yield f"\n```\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```\n"
    options = [record for option in command.params if (record := option.get_help_record(context)) and record[1]]
    if options:
        yield "| option | meaning |\n|---|---|"
        yield from (f"| `{option.replace('|', '/')}` | {_prose(meaning)} |" for option, meaning in options)
        yield ""
    if isinstance(command, click.Group):
        for inner, found in sorted(command.commands.items()):
            yield from _section(found, inner, context)


def _prose(text: str) -> str:
    """What a command says of itself, without what Markdown or HTML would read as its own."""
    return re.sub(r"([\\*<|\[\]])", r"\\\1", inspect.cleandoc(text).replace("\b\n", ""))
