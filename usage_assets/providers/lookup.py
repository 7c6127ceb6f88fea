"""What a lookup is: data. It says what the ids in costs and usage stand for; fetching/listing.py reads it.

What changes with every use (last used at) and what is part of a secret (redacted keys) is not kept.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from usage_assets.core.schema import LookupRow, column
from usage_assets.providers.listed import Listed
from usage_assets.providers.pages import Pages, with_one_name
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
    """What is stored of an item. Fields of other names are renamed as in rows: ``rename={"name": "label"}``. To rename
    ``id``, declare that column again."""
    cursor: str | None = None
    """The parameter that asks for what follows an id; an answer is ``{data, has_more, last_id}``. Called ``page``, it
    asks for a page, and an answer is ``{data, next_page}``. None where ``Cursors`` or ``Numbers`` states it, or the
    answer is the only item itself."""
    page: Pages | Callable[[Json, str | None], Json] | None = None
    """How its answers are split into pages, as in endpoints (``Cursors``, ``Numbers``). Of any other answer, a function
    of it and of the cursor that asked for it, which is None for the first page. The function returns ``{data, has_more,
    last_id}``: the items, whether others follow, and the text that ``cursor`` is sent with to get them. If it also
    returns ``total``, so many items must be listed. What else it returns is logged as unknown."""
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
    left_out: Collection[str] = ()
    """Fields, or objects with all that is in them, that are known and not kept."""
    settings: tuple[str, ...] = ()
    """Columns that hold the connection's own setting of that name."""
    merged: Callable[[Any, Any], LookupRow] | None = None
    """What is kept of two items with one id. None: an id that is listed twice, as two different things, is refused."""

    def __post_init__(self) -> None:
        """Raises ValueError where two parameters ask for the next page."""
        if not isinstance(self.page, Pages):
            return
        if self.cursor is not None:
            raise ValueError(f"{self.name}: page states the parameter {self.page.parameter!r}: leave cursor out")
        page, items = with_one_name(self.page, self.items)
        object.__setattr__(self, "page", page)
        object.__setattr__(self, "items", items)

    @property
    def parameter(self) -> str | None:
        """The parameter that asks for the next page; None where there is none."""
        return self.page.parameter if isinstance(self.page, Pages) else self.cursor

    def path_for(self, ids: Mapping[str, str]) -> str:
        """The path of a connection with these ids."""
        return path_of((self.path, self.or_path), {**ids, "id": ""})
