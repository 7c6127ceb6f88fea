"""Which rows of its sources a derived row comes from, found by running its query again on fewer or changed rows.

No table declares this. A query computes each connection and day from that day alone, so every selection of rows can be
a connection of its own: one run of the query answers for thousands of selections. Opens no warehouse.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from usage_assets.core.errors import UserError
from usage_assets.core.schema import declarations, declared
from usage_assets.warehouse.migrate import create_or_alter, prepare
from usage_assets.warehouse.readable import SESSION
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Query
from usage_assets.warehouse.views import make_views

Key: TypeAlias = tuple[Any, ...]
"""The values of a row's grain, without connection and day."""
Outcome: TypeAlias = Mapping[Key, Sequence[Any]]
"""Rows by their key: the values of all other columns."""

MARK = "\x1f"
"""Stands between a connection's name and the name of a selection."""
STORED_DAYS = {"ledger.stored_days", "ledger.compared_versions"}
"""Views that are tables here: of each selection, the days that are stored."""
NAMING = "macro valid_name("
UNMARKED = r"""
create or replace temp macro valid_name(name) as stored_name(
  if(
    regexp_matches(name, '\x1f\w*:'),
    entity_name(split_part(name, chr(31), 1), regexp_replace(name, '^[^\x1f]*\x1f\w*:', '')),
    regexp_replace(name, '\x1f\w*', '')
  )
)
"""
"""Removes the mark and the selection from identifiers."""
GROUPS = 16
FEW = 100
"""At most this many rows are left out one by one, not in groups."""
MOST_ROWS = 1_000_000
"""Rows of all selections of one run."""
MOST_ROWS_OF_ALL = 30_000_000
"""Rows of all selections of all runs for one step."""
MOST_ROWS_CHANGED = 5_000_000
"""Rows of all selections that have one change each, of one bill."""
MOST_ROWS_TWICE = 250_000
"""Rows of all selections that lack one row of a day each."""
FRAME = ("connection", "usage_date")


class MissingLinkError(UserError):
    """A link of the chain is missing. The message says which one and what to do, in one line."""


@dataclass(frozen=True)
class Found:
    """The source rows of a derived row, by their numbers."""

    rows: Sequence[int]
    is_sum: bool
    """Whether each row's part can be computed from that row alone. False if other rows matter: a bill is split by all
    weights of its day."""


@dataclass(frozen=True)
class Change:
    """A source row, and the row that it would be if one value of it were another, by their numbers."""

    old: int
    new: int
    kind: str
    """Which value was changed. The text is equal for the same field of other rows."""


class Trial:
    """A query, and the rows that it reads of one day of a connection."""

    def __init__(
        self,
        relation: str,
        grain: Sequence[str],
        columns: Sequence[str],
        query: Query,
        sources: Mapping[str, pa.Table],
        constants: Mapping[str, pa.Table],
        stored_days: pa.Table,
        listed: Mapping[str, pa.Table],
    ) -> None:
        """Load the rows of a day. ``constants`` are tables that are the same for every connection, and ``listed`` what
        the connection's lookups have."""
        self.relation, self.query = relation, query
        self.grain = tuple(grain)
        self.columns = tuple(name for name in columns if name not in (*FRAME, *grain))
        self._database = duckdb.connect(":memory:", config={"threads": 1})
        self._database.execute(SESSION)
        self._listed = listed
        self._make(constants, stored_days)
        self._numbered: dict[str, pa.Table] = {}
        self._places: list[tuple[str, int]] = []
        self._rows: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self._found: dict[Key, Found] = {}
        for table, rows in sources.items():
            self.add(table, rows)
        self.own = range(len(self._places))
        """The numbers of the rows of the day."""

    def _make(self, constants: Mapping[str, pa.Table], stored_days: pa.Table) -> None:
        prepare(self._database, self.query)
        if self.relation in declarations():  # some queries read what other queries store in the same table
            create_or_alter(self._database, Table(declared(self.relation)))
        for name, rows in constants.items():
            self._database.register("given", rows)
            self._database.execute(f"insert into {name} by name from given")
        self._database.execute("create schema if not exists ledger")
        self._database.register("given", stored_days)
        self._database.execute("create table ledger.stored as select * replace (null::boolean as has_sums) from given")
        self._database.execute("create table ledger.stored_days as from ledger.stored limit 0")
        make_views(self._database, [view for view in self.query.uses if not STORED_DAYS & {*view.names}])
        for macro in self.query.used_macros:
            if NAMING in macro:
                self._database.execute(macro.replace(NAMING, "macro stored_name("))
                self._database.execute(UNMARKED)

    def add(self, table: str, rows: pa.Table) -> range:
        """Add rows that selections may name; return their numbers."""
        first = len(self._places)
        known = self._numbered.get(table)
        start = known.num_rows if known else 0
        added = rows.cast(Table(declared(table)).arrow_schema).append_column(
            "n", pa.array(range(first, first + rows.num_rows), pa.int64())
        )
        self._numbered[table] = pa.concat_tables([known, added]) if known else added
        self._places += [(table, start + place) for place in range(rows.num_rows)]
        return range(first, first + rows.num_rows)

    def table_of(self, number: int) -> str:
        return self._places[number][0]

    def row_of(self, number: int) -> Mapping[str, Any]:
        table, place = self._places[number]
        if place >= len(known := self._rows[table]):
            known += self._numbered[table].drop_columns(["n"]).slice(len(known)).to_pylist()
        return known[place]

    def run(self, selections: Mapping[str, Sequence[int]], key: Key | None = None) -> Mapping[str, Outcome]:
        """Return what the query computes of each selection of rows: of all keys, or of one."""
        outcomes: dict[str, Outcome] = {}
        for together in _at_once(selections):
            outcomes |= self._run(together, key)
        return outcomes

    def _run(self, selections: Mapping[str, Sequence[int]], key: Key | None) -> Mapping[str, Outcome]:
        names = pa.table({"selection": pa.array(selections, pa.string())})
        pairs = [(name, number) for name, numbers in selections.items() for number in numbers]
        chosen = pa.table(
            {
                "selection": pa.array((name for name, _ in pairs), pa.string()),
                "n": pa.array((number for _, number in pairs), pa.int64()),
            }
        )
        self._database.register("names", names)
        self._database.register("chosen", chosen)
        marked = f"replace (connection || '{MARK}' || selection as connection)"
        added = [(table, rows, "selection", "names") for table, rows in self._listed.items()]
        added += [(table, rows, "n, selection", "chosen using (n)") for table, rows in self._numbered.items()]
        for table, rows, left_out, with_selections in added:
            self._database.register("given", rows)
            self._database.execute(f"delete from {table}")
            joined = f"given {'cross ' if table in self._listed else ''}join {with_selections}"
            self._database.execute(f"insert into {table} by name select * exclude ({left_out}) {marked} from {joined}")
        self._database.execute(
            f"create or replace table ledger.stored_days as select * exclude (selection) {marked} "
            "from ledger.stored cross join names"
        )
        shown = ", ".join(f'"{name}"' for name in ("connection", *self.grain, *self.columns))
        where = " and ".join(f'"{name}" is not distinct from ?' for name in self.grain) if key is not None else "true"
        found = self._database.execute(f"select {shown} from ({self.query.sql}) where {where}", [*(key or ())])
        outcomes: dict[str, dict[Key, Sequence[Any]]] = {name: {} for name in selections}
        width = 1 + len(self.grain)
        for values in found.fetchall():
            outcomes[values[0].partition(MARK)[2]][values[1:width]] = values[width:]
        return outcomes

    @cached_property
    def whole(self) -> Outcome:
        """What the query computes of the day."""
        return self.run({"whole": self.own})["whole"]

    @cached_property
    def _alone(self) -> Mapping[str, Outcome]:
        """What it computes of each row alone, and of none."""
        return self.run({"none": ()} | {str(number): (number,) for number in self.own})

    @cached_property
    def _without(self) -> Mapping[str, Outcome] | None:
        """What it computes of the day without each row; None of a day with too many rows."""
        if len(self.own) ** 2 > MOST_ROWS_TWICE:
            return None
        return self.run({str(left): [number for number in self.own if number != left] for left in self.own})

    def sources_of(self, keys: Collection[Key]) -> Mapping[Key, Found]:
        """Return the rows that each of the rows with these keys comes from. Raises MissingLinkError."""
        if any(key not in self.whole for key in keys):
            raise MissingLinkError(f"{self.relation}: its query no longer computes this row from what is stored")
        if new := [key for key in keys if key not in self._found]:
            self._found |= self._needed(new)
            self._found |= {key: self._searched(key) for key in new if key not in self._found}
        return {key: self._found[key] for key in keys}

    def _needed(self, keys: Sequence[Key]) -> Mapping[Key, Found]:
        """Return, for each key, the source rows whose removal changes the result, if they alone give that result."""
        if self._without is None:
            return {}
        found: dict[Key, Found] = {}
        for key in keys:
            needed = [number for number in self.own if self._without[str(number)].get(key) != self.whole[key]]
            found[key] = Found(needed, is_sum={*needed} <= {*self._candidates(key)})
        split = [key for key in keys if not found[key].is_sum]
        computed = self.run({str(n): found[key].rows for n, key in enumerate(split)})
        insufficient = {key for n, key in enumerate(split) if computed[str(n)].get(key) != self.whole[key]}
        return {key: each for key, each in found.items() if each.rows and key not in insufficient}

    def _candidates(self, key: Key) -> Sequence[int]:
        """Return the source rows from which alone, without any other row, the query computes a row with this key."""
        nothing = self._alone["none"].get(key)
        return [number for number in self.own if self._alone[str(number)].get(key) not in (None, nothing)]

    def _searched(self, key: Key) -> Found:
        alone = self._candidates(key)
        if self._suffices(alone, key):
            return Found(alone, is_sum=True)
        return Found(self._remaining(key), is_sum=False)

    def _suffices(self, numbers: Sequence[int], key: Key) -> bool:
        return self.run({"some": numbers}, key)["some"].get(key) == self.whole[key]

    @cached_property
    def _without_groups(self) -> Sequence[tuple[Sequence[int], Outcome]]:
        """Groups of the rows of the day, and what the query computes without each."""
        return self._without_each(_split([self.own], -(-len(self.own) // GROUPS)))

    def _without_each(
        self, groups: Sequence[Sequence[int]], key: Key | None = None
    ) -> Sequence[tuple[Sequence[int], Outcome]]:
        """Take each group away from all of them."""
        together = [number for group in groups for number in group]
        selections = {str(place): [n for n in together if n not in group] for place, group in enumerate(groups)}
        return list(zip(groups, self.run(selections, key).values(), strict=True))

    def _remaining(self, key: Key) -> Sequence[int]:
        """Return the rows without which the result would be another, by taking away smaller and smaller groups."""
        without = self._without_groups
        while True:
            groups = [group for group, outcome in without if outcome.get(key) != self.whole[key]]
            kept = [number for group in groups for number in group]
            if not self._suffices(kept, key):
                raise MissingLinkError(f"{self.relation}: the rows that this row comes from cannot be told apart")
            smaller = _split(groups, 1 if len(kept) <= FEW else -(-max(map(len, groups)) // GROUPS))
            if len(kept) == len(groups):
                return kept
            if len(smaller) * len(kept) > MOST_ROWS_OF_ALL:
                raise MissingLinkError(
                    f"{self.relation}: it comes from too many rows to tell them apart: {len(kept):,}"
                )
            without = self._without_each(smaller, key)

    def moved(
        self, shown: Collection[str], changes: Sequence[tuple[Key, Found, Sequence[Change]]]
    ) -> Sequence[list[bool]]:
        """Tell which changes move any of the ``shown`` columns of the rows with these keys.

        Where there is no row with the key any more, the change was not one of an amount. Of a bill with very many
        weights, all changes of one kind are made together: each of its weights moves a part of it.
        """
        selections: dict[str, Sequence[int]] = {}
        names: list[list[tuple[str, str]]] = []
        for n, (_, found, changed) in enumerate(changes):
            if found.is_sum:
                names.append([(str(each.old), str(each.new)) for each in changed])
                selections |= {str(number): (number,) for each in changed for number in (each.old, each.new)}
                continue
            is_each = len(changed) * len(found.rows) <= MOST_ROWS_CHANGED
            kinds = sorted({each.kind for each in changed})
            own = [f"of{n}_{each.new}" if is_each else f"of{n}_kind{kinds.index(each.kind)}" for each in changed]
            together: defaultdict[str, dict[int, int]] = defaultdict(dict)
            for each, name in zip(changed, own, strict=True):
                together[name][each.old] = each.new
            selections[f"of{n}"] = found.rows
            selections |= {name: [new.get(number, number) for number in found.rows] for name, new in together.items()}
            names.append([(f"of{n}", name) for name in own])
        outcomes = self.run(selections)
        places = [place for place, name in enumerate(self.columns) if name in shown]
        return [
            [_differ(outcomes[before].get(key), outcomes[after].get(key), places) for before, after in pairs]
            for (key, _, _), pairs in zip(changes, names, strict=True)
        ]


def _differ(before: Sequence[Any] | None, after: Sequence[Any] | None, places: Iterable[int]) -> bool:
    return before is not None and after is not None and any(before[place] != after[place] for place in places)


def _split(groups: Iterable[Sequence[int]], size: int) -> Sequence[Sequence[int]]:
    size = max(size, 1)
    return [group[start : start + size] for group in groups for start in range(0, len(group), size)]


def _at_once(selections: Mapping[str, Sequence[int]]) -> Iterator[Mapping[str, Sequence[int]]]:
    """Yield the selections in parts that are not too large for one run."""
    together: dict[str, Sequence[int]] = {}
    rows = 0
    for name, numbers in selections.items():
        if rows + len(numbers) > MOST_ROWS:
            yield together
            together, rows = {}, 0
        together[name] = numbers
        rows += len(numbers)
    yield together
