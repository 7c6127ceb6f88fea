"""`usage-assets port mapping`: what people ask of a mapping of their own."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

import click

from usage_assets.cli.access import connections_named, warehouse_now
from usage_assets.cli.files import draft_of
from usage_assets.config.settings import Settings
from usage_assets.core.errors import one_line
from usage_assets.features.mapping.checking import Check, check, words_of
from usage_assets.features.mapping.comparing import compared
from usage_assets.features.mapping.errors import MappingError
from usage_assets.features.mapping.reading import Expression, MappingFile, Resource, changed, read


@click.group("mapping")
def in_port() -> None:
    """Check a mapping of your own, written as for Port's Ocean Custom Integration."""


@in_port.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--connection", "connections", multiple=True, help="Only this connection. May be repeated.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Also compare this stored day with usage-assets' own.")
@click.option("--repair", is_flag=True, help="Write the known mistakes mended into the file. Comments stay.")
def check_mapping(file: Path, connections: Sequence[str], day: datetime | None, *, repair: bool) -> int:
    """Show what answers each resource of a mapping, and what is wrong with it. Makes no request, and pushes nothing.

    Exit code 1: a resource cannot be used as it is.
    """
    mapping, settings = read(file, requote=True), Settings.load()
    chosen = connections_named(settings, connections, keyed=False)
    for place in mapping.requoted:
        click.echo(f"WARNING {place}: not YAML without quotes around the expression (--repair mends it)")
    for note in mapping.notes:
        click.echo(f"NOTE {note}")
    found = []
    for resource, checked in check(mapping, chosen):
        click.echo(f"{resource.name} ({resource.place})")
        for line in words_of(checked):
            click.echo(f"  {one_line(line)}")
        for line in _of_day(settings, resource, checked, day.date()) if day else ():
            click.echo(f"  {line}")
        found.append(checked)
    if repair:
        text, count = mended(mapping, found)
        if count:
            with draft_of(file.resolve()) as draft:
                draft.write_text(text)
        click.echo(f"{file}: {count} places mended; check it again" if count else f"{file}: nothing to mend")
    return int(any(each.level == "error" for checked in found for each in checked.findings))


def _of_day(settings: Settings, resource: Resource, checked: Check, day: date) -> Iterator[str]:
    """Yield what a stored day of each connection makes of a resource, next to ours, in lines."""
    connections = {each.name: each for each in settings.connections()}
    for answer in checked.answers:
        try:
            for each in compared(
                settings, warehouse_now(settings), connections[answer.connection], resource, answer, day
            ):
                yield from (
                    f"{answer.connection} {day}: {line}" if n == 0 else line for n, line in enumerate(each.words())
                )
        except MappingError as error:
            yield f"{answer.connection}: {error}"


def mended(mapping: MappingFile, found: Sequence[Check]) -> tuple[str, int]:
    """Return the file's text with all that can be mended, and in how many places it is.

    An expression with two mistakes gets the first mended: the next check finds the other.
    """
    edits: dict[tuple[int, int], str] = dict.fromkeys(mapping.joins, "")
    texts: dict[Expression, str] = {}
    for checked in found:
        for finding in checked.findings:
            texts = {**finding.mended, **texts}
    edits |= {(each.start, each.end): each.rendered(text, mapping.text) for each, text in texts.items()}
    return changed(mapping.text, edits), len(edits) + len(mapping.requoted)
