"""How a report that is delivered as files is read: which columns decide day, money and whether a row is taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FILE = "_file"
"""Field of a row, beside its columns: the file that it was read from. It is archived and not stored, and so is ``ROW``:
a file that is written again in another order, or under another name, says the same."""
ROW = "_row"
"""Field of a row: its number in the file."""
NOT_NAMED = "not named"
"""The service of a row that names none. A connection may take it like any other."""
UNREAD = "x_Unread"
"""How a column is called that keeps a value which does not fit the column of the rest of the name."""
CORRECTED_BY = "_corrected_by"
"""Field of a row of a day that its set does not cover: the name of the set."""
KEPT = "_kept"
"""The one field of a row that no file has any more: the columns of the table, as they are stored."""


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What reading the files of a report depends on. Its row model says what is stored of a row that is taken."""

    required: tuple[str, ...]
    """Columns that each file must have, with a value in each row: day, amount, currency and category."""
    former_names: Mapping[str, str] = field(default_factory=dict)
    """Name that earlier versions of the format have -> name of the column now. The first with a value counts."""
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Column -> words of the format. They are read in any case, and stored in this one. Others stay as they are."""
    begins: str
    """When a charge begins: the UTC day of this moment is its day."""
    ends: str
    """When a charge ends."""
    period: tuple[str, str]
    """When the billing period begins and ends. Where all rows of a set state the same, and it was written after that
    end, these are the days that it covers. Usage of other days does not say which days a file covers."""
    times: tuple[str, ...]
    """All columns of times. They are stored in one spelling. What is no time is kept as quantities are, but for the
    charge's own."""
    amounts: tuple[str, ...]
    """Columns of money: each is a plain decimal number or has none."""
    quantities: tuple[str, ...]
    """Other columns of numbers. What is no number is kept under another name (UNREAD): it stops no money."""
    amount: str
    """The amount that is billed. It is added up of rows that are left out."""
    amortized: str
    """The amount with prepaid charges spread over their use. It is added up of them, too, unless a row has none."""
    currency: str
    """The column of the currency of the amounts."""
    billed_together: tuple[str, ...]
    """Columns that tell one bill from another: a bill has one currency."""
    use: tuple[str, str]
    """Column and value of rows of usage. They say which days a file covers."""
    late: tuple[str, str]
    """Column and value of rows that correct a day of an earlier bill. They do not say which days a file covers."""
    taken: tuple[str, ...]
    """Which rows are taken: ``Column=pattern`` each, where ``*`` stands for anything, in any case."""
    taken_by: str
    """The filter of a connection that replaces ``taken``."""
    named_by: tuple[str, ...]
    """Columns that name the service of a row, the best first: the first one may be empty."""
    left_out_by: tuple[str, ...]
    """Rows that are left out are added up by service, by these columns, by day and by currency."""
    left_out_rows: str
    """The field with the number of rows that are left out."""
