"""`usage-assets mcp`. The SDK is imported when the server starts; stdout is the protocol's."""

import secrets

import click

from usage_assets.config.address import SettingsError, warehouse_address
from usage_assets_assistant.mcp.sight import People, Sight


def names(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Return names that are separated by commas."""
    return tuple(filter(None, (name.strip() for name in (text or "").split(","))))


@click.command()
@click.option(
    "--people",
    type=click.Choice(["none", "hashed", "names"]),
    default="none",
    show_default=True,
    help="Show no person, each as a hash (USAGE_HASH_KEY), or as stored.",
)
@click.option("--teams", metavar="A,B", callback=names, help="Show only these teams.")
@click.option("--connections", metavar="X,Y", callback=names, help="Show only these connections.")
def mcp(people: People, teams: tuple[str, ...], connections: tuple[str, ...]) -> None:
    sight = Sight(people=people, teams=teams, connections=connections, key=key_of(people))
    try:
        from usage_assets_assistant.mcp.server import serve  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "mcp":
            raise
        raise SettingsError("the package mcp is missing: pip install 'usage-assets[mcp]'") from None
    serve(warehouse_address(), sight)  # never the demo's: whoever asks could not tell made-up costs from real ones


def key_of(people: People) -> str:
    """Return the key of hashes. Raises SettingsError where it is needed and not set."""
    if people != "hashed":
        return secrets.token_hex()
    from usage_assets.config.settings import Settings  # noqa: PLC0415 - takes 0.3 s, and only hashes need it

    key = Settings.load().usage_hash_key
    if not key:
        raise SettingsError("--people hashed: set USAGE_HASH_KEY, as for USAGE_PEOPLE=hash")
    return key.get_secret_value()
