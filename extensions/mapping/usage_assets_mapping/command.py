"""`usage-assets port mapping`: what people ask of a mapping of their own."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import click

from usage_assets.cli.access import connections_named, warehouse_now
from usage_assets.cli.files import draft_of
from usage_assets.config.settings import Connection, Settings
from usage_assets.core.errors import one_line
from usage_assets_mapping.checking import Check, Finding, check, words_of
from usage_assets_mapping.comparing import compared
from usage_assets_mapping.errors import MappingError
from usage_assets_mapping.reading import Expression, MappingFile, changed, parsed, read


@click.group("mapping")
def in_port() -> None:
    """Check a mapping of your own, written as for Port's Ocean."""


@in_port.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--connection", "connections", multiple=True, help="Only this connection. May be repeated.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Also compare this stored day with usage-assets' own.")
@click.option("--repair", is_flag=True, help="Write the known mistakes mended into the file. Comments stay.")
def check_mapping(file: Path, connections: Sequence[str], day: datetime | None, *, repair: bool) -> int:
    """Show what answers each resource, and what is wrong with it. Makes no request, and pushes nothing.

    Exit code 1: a resource cannot be used as it is.
    """
    mapping, settings = read(file, requote=True), Settings.load()
    chosen = connections_named(settings, connections, keyed=False)
    for place in mapping.requoted:
        click.echo(f"WARNING {place}: not YAML without quotes around the expression (--repair mends it)")
    for note in mapping.notes:
        click.echo(f"NOTE {note}")
    found = []
    for checked in check(mapping, chosen):
        click.echo(f"{checked.resource.name} ({checked.resource.place})")
        for line in words_of(checked):
            click.echo(f"  {one_line(line)}")
        for line in _of_day(settings, checked, day.date()) if day else ():
            click.echo(f"  {line}")
        found.append(checked)
    if repair:
        text, count, why = repaired(mapping, found, chosen)
        if count:
            with draft_of(file.resolve()) as draft:
                draft.write_text(text, newline=mapping.line_end)
        places = f"{count} place{'s' if count > 1 else ''} mended; check it again"
        click.echo(f"{file}: {places if count else 'nothing was mended' if why else 'nothing to mend'}{why}")
    return int(any(each.level == "error" for checked in found for each in checked.findings))


def _of_day(settings: Settings, checked: Check, day: date) -> Iterator[str]:
    """Yield what a stored day of each connection makes of a resource, next to ours, in lines."""
    connections = {each.name: each for each in settings.connections()}
    for answer in checked.answers:
        try:
            for each in compared(
                settings, warehouse_now(settings), connections[answer.connection], checked.resource, answer, day
            ):
                yield from (
                    f"{answer.connection} {day}: {line}" if n == 0 else line for n, line in enumerate(each.words())
                )
        except MappingError as error:
            yield f"{answer.connection}: {error}"


def repaired(mapping: MappingFile, found: Sequence[Check], connections: Sequence[Connection]) -> tuple[str, int, str]:
    """Return the file's text with all that can be mended, in how many places it is, and why others are not.

    An expression with two mistakes takes two rounds. A round that would lose something, make an error, or leave what
    it mends, is undone.
    """
    text, total = mapping.text, 0
    while True:
        later, count = mended(mapping, found)
        if not count:
            return text, total, ""
        try:
            after = parsed(later, mapping.name)
            checks = [*check(after, connections)]
        except MappingError as error:
            return text, total, f"; more would break it ({error}): mend it by hand"
        former, left = _mendable(found), _mendable(checks)
        stays = any(left[each.text] >= former[each.text] for each in _first_mends(found).values())
        if stays or _parts(after) != _parts(mapping) or _errors(checks) > _errors(found):
            return text, total, "; more would break it: mend it by hand"
        mapping, found, text, total = after, checks, later, total + count


def _mendable(found: Sequence[Check]) -> Counter[str]:
    return Counter(finding.text for checked in found for finding in checked.findings if finding.mended)


def _first_mends(found: Sequence[Check]) -> Mapping[Expression, Finding]:
    """Return the first finding of each expression that can be mended."""
    mends: dict[Expression, Finding] = {}
    for checked in found:
        for finding in checked.findings:
            mends = {**dict.fromkeys(finding.mended, finding), **mends}
    return mends


def _parts(mapping: MappingFile) -> Sequence[tuple[str, Sequence[str]]]:
    """Return what a repair must keep."""
    return [(each.name, [name for name, _ in each.expressions()]) for each in mapping.resources]


def _errors(found: Sequence[Check]) -> int:
    return sum(finding.level == "error" for checked in found for finding in checked.findings)


def mended(mapping: MappingFile, found: Sequence[Check]) -> tuple[str, int]:
    """Return the file's text with the first mistake of each expression mended, and in how many places it is."""
    mends = _first_mends(found)
    edits = dict(mapping.joins)
    edits |= {(each.start, each.end): each.rendered(one.mended[each], mapping.text) for each, one in mends.items()}
    return changed(mapping.text, edits), len(edits) + len(mapping.requoted)
