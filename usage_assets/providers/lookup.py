"""What a lookup is: data. It says what the ids in costs and usage stand for; fetching/listing.py reads it.

What changes with every use (last used at) and what is part of a secret (redacted keys) is not kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from usage_assets.core.schema import LookupRow, column
from usage_assets.providers.listed import Listed
from usage_assets.providers.paths import path_of
from usage_assets.providers.records import Json

ChosenName = Annotated[str | None, column("Name, chosen by somebody", address="in_name")]
PersonName = Annotated[
    str | None, column("Name of the person; kept only where USAGE_PEOPLE is names", address="person_name")
]
Email = Annotated[str | None, column("Address of the person, as USAGE_PEOPLE wants it", address="sent_unasked")]
Role = Annotated[str | None, column("Role")]
Status = Annotated[str | None, column("Status, such as active or archived")]
CreatedAt = Annotated[datetime | None, column("When it was created")]
AddedAt = Annotated[datetime | None, column("When the person joined the organization")]
ArchivedAt = Annotated[datetime | None, column("When it was archived; it may still have costs")]
ExpiresAt = Annotated[datetime | None, column("When it expires")]


@dataclass(frozen=True, kw_only=True)
class Lookup(Listed):
    """One list of a provider, unpartitioned: how to ask for all of it, and what an item of it is.

    In ``path``, ``{id}`` is each id of ``for_each``.
    """

    row: type[LookupRow]
    """What is stored of an item; its ``id`` is the item's. Where that is called otherwise, ``page`` renames it."""
    cursor: str | None
    """The parameter that asks for what follows an id: an answer is ``{data, has_more, last_id}``. With ``page``, it is
    ``{data, next_page}``. None where the answer is the only item itself."""
    page: Callable[[Json, str | None], Json] | None = None
    """The answer to a cursor as ``{data, has_more, last_id, total}``, if it is sent otherwise. ``total`` (of all items)
    is left out where the answer does not state it."""
    for_each: "Lookup | None" = None
    """The lookup whose items have a list of these each."""
    known_as: str | None = None
    """The column of costs and usage that holds these ids."""
    is_of_one_organization: bool = True
    """Whether only one organization has an item: not so of people, who may be members of several."""
    own_path: str | None = None
    """The path of the organization's own item. The items of ``for_each`` have theirs at ``path``."""
    may_be_unset: bool = False
    """Whether a 404 says that nothing is set. What is there has no id but that of whom it is for."""
    left_out: frozenset[str] = frozenset()
    """Fields, or objects with all that is in them, that are known and not kept."""
    settings: tuple[str, ...] = ()
    """Columns that hold the connection's own setting of that name."""
    merged: Callable[[Any, Any], LookupRow] | None = None
    """What is kept of two items with one id. None: an id that is listed twice, as two different things, is refused."""

    def path_for(self, ids: Mapping[str, str]) -> str:
        """The path of a connection with these ids."""
        return path_of((self.path, self.or_path), {**ids, "id": ""})
