"""What the doctor finds: a line, and how bad it is."""

from dataclasses import dataclass
from enum import IntEnum

SCOPES = """
select distinct connection, coalesce(project_id, workspace_id) as project, team, api_key_id as api_key
from costs.allocated_costs_by_key_named
"""


class Level(IntEnum):
    """How bad it is."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    level: Level
    subject: str
    text: str
