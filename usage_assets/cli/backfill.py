"""`usage-assets backfill`: its options and output. The backfill itself is in backfill_days.py."""

from collections.abc import Sequence

import click

from usage_assets.cli.progress import display


@click.command()
@click.option("--start", metavar="YYYY-MM-DD", help="First day (UTC).")
@click.option("--end", metavar="YYYY-MM-DD", help="Last day, included.")
@click.option("--due", is_flag=True, help="Run the days that are missing, stale or not settled, instead of a range.")
@click.option("--connection", "names", multiple=True, metavar="NAME", help="Only this connection. Repeatable.")
@click.option("--push", is_flag=True, help="Push the days to Port, too.")
@click.option(
    "--from-archive", is_flag=True, help="Read archived answers instead of sending requests to the providers."
)
@click.option("--verbose", is_flag=True, help="Show Dagster's messages.")
def backfill(
    start: str | None,
    end: str | None,
    names: Sequence[str],
    *,
    due: bool,
    push: bool,
    from_archive: bool,
    verbose: bool,
) -> int:
    if due and (start or end or from_archive):
        raise click.UsageError("--due cannot be combined with --start, --end or --from-archive")
    if not due and not (start and end):
        raise click.UsageError("name the days with --start and --end, or use --due")
    days = (start, end) if start and end else None
    with display(verbose=verbose) as shown:
        from usage_assets.cli.backfill_days import run  # noqa: PLC0415 - it takes seconds: the bar is there before

        outcome = run(days, names, shown, push=push, from_archive=from_archive, verbose=verbose)
    for line in outcome.lines:
        click.echo(line)
    for line in outcome.failures:
        click.echo(line, err=True)
    return 1 if outcome.failures else 0
