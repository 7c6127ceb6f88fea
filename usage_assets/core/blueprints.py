"""Where Port's JSON of a blueprint is: beside the module that declares its rows, or with those of no provider."""

import sys
from pathlib import Path

from usage_assets.core.schema import OwnRow, declarations

OF_NO_PROVIDER = Path(__file__).parents[1] / "port" / "blueprints"


def blueprint_file(identifier: str) -> Path | None:
    """Return the file of a blueprint of this release or a provider; None for those of the users' own and all others."""
    row = declarations().get(f"port_entities.{identifier}")
    of_provider = row is not None and not issubclass(row, OwnRow)
    beside = [Path(str(sys.modules[row.__module__].__file__)).parent / "blueprints"] if row and of_provider else []
    files = (folder / f"{identifier}.json" for folder in (*beside, OF_NO_PROVIDER))
    return next((file for file in files if file.is_file()), None)
