"""What a person can put right in a mapping: the file, the place, and what to do, in one line."""

from importlib.util import find_spec
from pathlib import Path

from usage_assets.core.errors import UserError


class MappingError(UserError):
    """A mapping that cannot be used."""


LONGEST = 40
"""Characters of a value that a message says."""


def shown(value: str) -> str:
    """Return how a message says a value, a text of JSON: whole, or how long it is. Half of an address would be hidden
    by no policy for people, and found by nobody who forgets a person."""
    return value if len(value) <= LONGEST else f"{len(value):,} characters of JSON"


def extra_at(package: str) -> Path:
    """Return the file of a package that this one needs, without importing it.

    Raises MappingError where it is missing.
    """
    try:
        found = find_spec(package)
    except ModuleNotFoundError:  # what it is in
        found = None
    if found is None or found.origin is None:
        raise MappingError(f"the package {package} is missing: pip install usage-assets-mapping")
    return Path(found.origin)
