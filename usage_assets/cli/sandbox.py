"""`usage-assets sandbox`. What it serves is in sandbox/, which shares no code with the product."""

from datetime import UTC, datetime

import click

from usage_assets.core.errors import UserError
from usage_assets.sandbox.app import serve
from usage_assets.sandbox.control import DEFAULT_SEED


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default="any free one")
@click.option("--seed", type=int, default=DEFAULT_SEED, show_default=True, help="Seed of the made-up company.")
@click.option("--now", metavar="ISO", help="Stop the clock at this time.")
def sandbox(port: int, seed: int, now: str | None) -> None:
    serve(port, seed=seed, now=_moment(now) if now else None)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"--now {text!r} is not an ISO 8601 time, such as 2026-11-20T08:00:00Z") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
