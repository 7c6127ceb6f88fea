"""What goes into the warehouse and comes out of a write, as values: batches, queries, seeds, versions, errors.

Nothing here opens or runs anything.

A comment ``-- name: value`` at the beginning of a line of SQL declares something, and may go on after ``--   ``. Names
that are not listed here are text for people; in checks and warnings they are refused (``registry.unread``).

=============================  =====================================================================================
checks, warnings, sums.sql
``says``, ``says_<kind>``      What a row is reported as (``sentence``). Rows with a column ``says`` name their kind.
``do``, ``do_<kind>``          What to do about it.
warnings (models.comparisons)
``severity: error``            It is an error.
``settled: <tables>``          Days that a provider may still change there are left out; ``sources``: the query's own.
``shown: only``                It is shown in Dagster, and neither posted nor stored in ``ledger.failed_checks``.
``reads: <tables and views>``  What it reads besides its own table. Also of views, and of providers' queries.
views
``column <name>``              What a column means, with ``[unit; kind; within column]``.
``columns: <tables>``          Columns of the same name mean the same there.
usage/
``partly: <why>``              The query leaves out some use.
report
``title``, ``short``           Words of a figure, and ``note``.
``explain``                    Arguments of ``usage-assets explain`` for each row.
insights/sql/invariants/
``of: <table>``, ``holds``     What a rule is about, and the rule.
=============================  =====================================================================================
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

import pyarrow as pa

from usage_assets.core.bills import Bills
from usage_assets.core.money import in_words
from usage_assets.core.schema import of_days
from usage_assets.warehouse.errors import WarehouseError
from usage_assets.warehouse.tables import Table

__all__ = ["WarehouseError"]

Alone = Callable[[], AbstractContextManager[None]]
"""Makes a context for a commit: nobody else commits in it."""
_MACRO = re.compile(r"macro (\w+)\(")
_CALLED = re.compile(r"\b(\w+)\(")
_MADE = re.compile(r"create or replace view (\S+)")
_DECLARED = re.compile(r"^-- (\w+): (.*(?:\n--   .*)*)", re.M)
_COMMENTS = re.compile(r"^-- column(?:s| [\w.]+): .*\n(?:--   .*\n)*", re.M)
_COLUMN = re.compile(r"^-- column ([\w.]+): (.*(?:\n--   .*)*)", re.M)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A provider's complete answer for a slice: its rows, and what has to be known of the asking."""

    rows: pa.Table
    began: datetime
    """When the request began. What was written later is newer than these rows."""
    filters: str | None = None
    """What the answer was narrowed down to, as JSON."""
    question: str | None = None
    """Digest of what was requested. Days that answer another question are fetched again (ledger.due_days)."""
    control: tuple[Table, pa.Table] | None = None
    """The answer's control totals, which are stored with it or not at all."""
    stored_at: Mapping[date, datetime] = field(default_factory=dict)
    """When a day's answer was first stored, where it comes from the archive. What was stored later is newer."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the fetch was like, as the event of its last day shows it."""
    settling_days: int | None = None
    """How many days after a day's end the provider still changes it; None where the days have no state."""
    bills: Bills | None = None
    """The sets of files that it was read from; None where it was not."""
    earliest: date = date.min
    """The first day that a run may store."""
    inputs: pa.Table | None = None
    """What its days were computed from (``inputs_of``), where no query of ours has computed them."""

    def of(self, days: Iterable[date]) -> "Batch":
        """Return the part of it that is about these days."""
        days = list(days)
        control = (self.control[0], of_days(self.control[1], days)) if self.control else None
        return replace(self, rows=of_days(self.rows, days), control=control)


EVERYTHING = "true"
"""``Seed.owned`` of the only process that writes the tables."""
NOTHING = "false"
"""``Seed.owned`` of a process that only reads the tables."""
NEVER = datetime.min.replace(tzinfo=UTC)
Stores = Literal["always", "first", "never"]
"""Whether a process stores the entries of its connections file: a code location always does, a backfill only where
nobody has stored any, and a command that reads never."""


@dataclass(frozen=True)
class Seed:
    """Tables that hold these rows and no others: what a configuration states, as a process has read it."""

    name: str
    """What it is about. Of several processes, the one that has read it last has the say."""
    tables: Mapping[Table, pa.Table]
    read_at: datetime
    owned: str = EVERYTHING
    """Which rows of the tables this process looks after, as an SQL condition; others stay as they are."""
    entries: Collection[Table] = ()
    """The tables of a file's entries. Rows that are stored stay where no file is named, or the file has no entry."""
    beside: Collection[Table] = ()
    """The tables that are stored, and stay, with the entries."""
    stores: Stores = "always"
    """Whether this process stores the entries."""
    empties: bool = False
    """Whether somebody has said that no entry is to be stored."""
    state: str | None = None
    """What it was computed from, where it was."""

    @cached_property
    def digest(self) -> str:
        """What is stated, and for which rows: the same digest, the same tables."""
        return self.digest_of(self.tables, self.owned)

    @cached_property
    def entries_digest(self) -> str | None:
        """What the file states; None where there is no file, or it has no entry."""
        return self.digest_of(self.entries) if any(self.tables[table].num_rows for table in self.entries) else None

    def digest_of(self, tables: Iterable[Table], owned: str = "") -> str:
        """What is stated in these tables."""
        digest = sha256(owned.encode())
        for table in tables:
            rows = self.tables[table]
            digest.update(table.name.encode())
            with pa.ipc.new_stream(written := pa.BufferOutputStream(), rows.schema) as stream:
                stream.write_table(rows.combine_chunks())
            digest.update(written.getvalue())
        return digest.hexdigest()


@dataclass(frozen=True)
class View:
    """Statements that make one view, or several that belong together."""

    sql: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The views that are made."""
        return tuple(_MADE.findall(self.sql))

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The tables and other views that they read, as the comments ``-- reads: ...`` say."""
        return self._named("reads")

    @cached_property
    def alike(self) -> tuple[str, ...]:
        """The tables and views whose columns of the same name mean the same, as ``-- columns: ...`` says: the first of
        them that has a column describes it."""
        return self._named("columns")

    @cached_property
    def described(self) -> Mapping[str, str]:
        """What other columns mean, as comments ``-- column <name>: ...`` say; ``<view>.<name>`` is one of that view."""
        return {name: text.replace("\n--   ", " ") for name, text in _COLUMN.findall(self.sql)}

    @cached_property
    def code(self) -> str:
        """What makes the rows: the SQL without what it says of columns."""
        return _COMMENTS.sub("", self.sql)

    def _named(self, declared: str) -> tuple[str, ...]:
        """The tables and views that the comments of this name list."""
        lists = [names for found, names in _DECLARED.findall(self.sql) if found == declared]
        return tuple(re.findall(r"[\w.]+", " ".join(lists)))


@dataclass(frozen=True)
class Query:
    """The query of a derived table, without connection or day filter: those are added where it runs."""

    sql: str
    reads: tuple[str, ...]
    """Tables that must hold every requested day already."""
    may_lack: frozenset[str] = frozenset()
    """Those of them that need not: a day is computed without them, and again when they hold it."""
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a table that is written in parts: the parts that must be stored."""
    optional_refs: tuple[str, ...] = ()
    """Tables that may have no rows: those of endpoints that are switched off, for example."""
    reconciliations: tuple[str, ...] = ()
    """Queries whose every row is a contradiction, and whose comments say it in words (see ``sentence``); ``$part`` is
    set."""
    macros: tuple[str, ...] = ()
    """Temporary macros that the queries use."""
    constants: tuple[str, ...] = ()
    """What the release states in tables that the query reads."""
    views: tuple[View, ...] = ()
    """Views over the table, in any order."""
    sums: tuple[Table, str] | None = None
    """A coarser table that is written in the same transaction, and the query over the written table that sums it."""
    uses: tuple[View, ...] = ()
    """Views that the query reads, in any order."""
    place: str | None = None
    """The user's file that holds the query."""
    part: str = ""
    """The part of a shared table that the query computes."""
    seed: Seed | None = None
    """What the connections file states about money, where the query reads it."""
    names: tuple[str, ...] = ()
    """Lookups whose names the query reads."""
    inputs: tuple[str, ...] = ()
    """Queries over the written rows: which other inputs (connection, usage_date, input, value) they were computed with.
    ``$part`` is set."""
    stated_inputs: tuple[str, ...] = ()
    """Queries over what is stated now, which return such inputs, too."""

    @cached_property
    def used_macros(self) -> Sequence[str]:
        """The macros that the queries use, in their order. No stored view can use one."""
        sums = self.sums[1] if self.sums else ""
        return self.macros_in(self.sql, *self.reconciliations, *self.inputs, *self.stated_inputs, sums)

    def macros_in(self, *texts: str) -> Sequence[str]:
        """Return the macros that these texts use, and those that macros among them use, in their order."""
        defined = {name: macro for macro in self.macros for name in _MACRO.findall(macro)}
        used: set[str] = set()
        unread = [*texts]
        while unread:
            called = defined.keys() & _CALLED.findall(unread.pop())
            found = {defined[name] for name in called} - used
            unread += found
            used |= found
        return [macro for macro in self.macros if macro in used]

    @property
    def code(self) -> str:
        """Digest of the query. Days that another query computed are computed again (ledger.due_days)."""
        return sha256(
            "\n".join((self.sql, *self.macros, *self.constants, *(view.code for view in self.uses))).encode()
        ).hexdigest()[:12]

    @property
    def sources(self) -> Sequence[tuple[str, str]]:
        """The tables that it reads and the part of each; no part of those that have none."""
        return [(table, part) for table in self.reads for part in self.parts.get(table, ("",))]

    @property
    def needed(self) -> Sequence[tuple[str, str]]:
        """Those of them that must hold a day before it is computed."""
        return [(table, part) for table, part in self.sources if table not in self.may_lack]


@dataclass(frozen=True)
class CheckFailure:
    """What is wrong with a stored day, in words."""

    day: date
    text: str
    advice: str = ""
    """What to do about it."""


@dataclass(frozen=True)
class Version:
    """What one day of a table holds after a write."""

    day: date
    version: int
    """1 where the day was never stored before."""
    content_hash: str
    changed: bool
    changed_run_id: str
    row_count: int
    totals: Mapping[str, str | None]
    """Exact decimals as text; None where nothing was added up."""
    is_open: bool
    """Whether the day was still running when it was fetched."""
    state: str | None
    """Open, provisional or settled (see DayState); None of a derived table."""
    sample: Sequence[Mapping[str, Any]]
    """A few rows of the last day of a write, the largest amounts first, without personal columns."""


def declared_in(sql: str) -> Mapping[str, str]:
    """Return what the comments of an SQL file declare: ``-- name: value``, which may go on after ``--   ``."""
    return {name: value.replace("\n--   ", " ") for name, value in _DECLARED.findall(sql)}


def sentence(stated: Mapping[str, str], row: Mapping[str, Any]) -> tuple[str, str]:
    """Return what a check found, and what to do about it, as the comments of its SQL file state it.

    ``says`` is a template that the columns of the row fill; ``do`` is the advice. Rows that say different things have a
    column ``says`` with the rest of the name: ``refund`` for ``says_refund``. Numbers are of the unit that the column
    ``unit`` holds (``in_words``); ``difference`` is between ``found`` and ``expected``.
    """
    kind = f"_{row['says']}" if "says" in row else ""
    template = stated[f"says{kind}"]
    numbers = {name: Decimal(value) for name, value in row.items() if isinstance(value, (int, Decimal))}
    if {"found", "expected"} <= numbers.keys():
        numbers["difference"] = abs(numbers["found"] - numbers["expected"])
    used = {name: number for name, number in numbers.items() if f"{{{name}}}" in template}
    shown = in_words(used.values(), row.get("unit") or "")
    texts = {name: "unknown" if value is None else value for name, value in row.items()}
    text = template.format_map(_Shown(texts | {name: shown[number] for name, number in used.items()}))
    return text, stated.get(f"do{kind}", "")


class _Shown(dict[str, Any]):
    """The values of a row in words. A misspelled name stays as it is written, next to what was found."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def listed(items: Iterable[str], most: int = 5) -> str:
    """Return the first items in words, and how many more there are."""
    names = list(items)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
