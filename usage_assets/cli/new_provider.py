"""`usage-assets new-provider`: writes a package with a provider that runs, and its tests."""

import re
from pathlib import Path

import click

from usage_assets.core.errors import UserError

TEMPLATE = Path(__file__).parents[1] / "testing" / "template"
NAME = re.compile("[a-z][a-z0-9_]*")


@click.command()
@click.argument("name")
@click.option(
    "--out", type=click.Path(path_type=Path), help="The folder to write. Default: usage-assets-NAME, in this folder."
)
def new_provider(name: str, out: Path | None) -> None:
    """NAME is the provider's: lower case, digits and _. Nothing that exists is overwritten."""
    if not NAME.fullmatch(name):
        raise UserError(f"{name}: a provider's name has lower case letters, digits and _, and begins with a letter")
    folder = out or Path(f"usage-assets-{name.replace('_', '-')}")
    if folder.exists():
        raise UserError(f"{folder}: is there already: choose another folder (--out)")
    write_provider(name, folder)
    click.echo(f"{folder}: a package with the provider {name}. Next: {folder / 'README.md'}")


def write_provider(name: str, folder: Path) -> None:
    """Write the package of the template, called otherwise."""
    words = {"usage-assets-acme": f"usage-assets-{name.replace('_', '-')}", "acme": name, "ACME": name.upper()}
    words["Acme"] = name.title().replace("_", "")
    spelled = re.compile("|".join(words))
    for file in sorted(TEMPLATE.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            target = folder / spelled.sub(lambda found: words[found[0]], str(file.relative_to(TEMPLATE)))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(spelled.sub(lambda found: words[found[0]], file.read_text(encoding="utf-8")))
