"""``[[mapping]]`` of the connections file."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, StrictBool

from usage_assets.config.settings import Name


class MappingEntry(BaseModel):
    """One ``[[mapping]]`` of the connections file: a mapping of the users' own, of a connection's answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connection: Name
    file: Path
    replaces: StrictBool = False
    """Whether ours is left out of the blueprints that it writes."""
