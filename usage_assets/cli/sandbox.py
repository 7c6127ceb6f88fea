"""`usage-assets sandbox`. What it serves is a distribution of its own, which need not be installed."""

from datetime import UTC, datetime

import click

from usage_assets.core.errors import UserError

MISSING = "the sandbox is not installed; in a checkout of usage-assets: pip install ./usage_assets_sandbox"


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="any free one")
@click.option("--seed", type=int, show_default="the sandbox's own", help="Seed of the made-up company.")
@click.option("--now", metavar="ISO", help="Stop the clock at this time.")
def sandbox(port: int, seed: int | None, now: str | None) -> None:
    try:
        from usage_assets_sandbox.app import serve  # noqa: PLC0415 - need not be there
        from usage_assets_sandbox.control import DEFAULT_SEED  # noqa: PLC0415 - need not be there
    except ModuleNotFoundError:
        raise UserError(MISSING) from None
    serve(port, seed=DEFAULT_SEED if seed is None else seed, now=_moment(now) if now else None)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"--now {text!r} is not an ISO 8601 time, such as 2026-11-20T08:00:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
