"""What a connection asks for: everything in a request that depends on the connection, but its key and its address.

How fast and how patiently it asks is in transport.py (``HttpOptions``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from usage_assets.core.people import People


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Whose usage a connection asks for, and what it keeps of the people in it."""

    connection: str
    ids: Mapping[str, str] = field(default_factory=dict)
    """Path parameters of endpoints (``workspace_id``) -> value."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that narrow the usage down to an organization or a project."""
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Parameters of endpoints that narrow the answer down, without ``[]``."""
    people: People = field(default_factory=People)
