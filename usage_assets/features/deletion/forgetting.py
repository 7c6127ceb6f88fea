"""Forgetting one person: random stand-ins replace everything that names them, and every number stays.

An interrupted command can be run again, because of the order: the stand-ins are saved first. The tables are changed
after the archive and the history, because only the tables know all ids of the person.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg

from usage_assets.assets.warehouse_resource import UNDER_WAY
from usage_assets.config.settings import Settings, SettingsError
from usage_assets.core.days import MOST_DAYS, windows
from usage_assets.core.features import FILES, hooks
from usage_assets.core.forgotten import Forgotten, Person, new_address, new_id
from usage_assets.core.people import People
from usage_assets.features.deletion.files import clean
from usage_assets.features.deletion.history_texts import Named, find_texts, replace_texts
from usage_assets.features.deletion.people import (
    InRows,
    find_rows,
    known_of,
    lines_to_send,
    replace_in_rows,
    unpushed_days,
)
from usage_assets.features.port.catalog.client import PortClient, PortError
from usage_assets.features.port.catalog.sync import Acknowledged
from usage_assets.features.port.ledger import PortLedger
from usage_assets.features.port.mapped import with_mappings
from usage_assets.features.port.push import push_until_equal
from usage_assets.fetching.archive.files import ArchiveError
from usage_assets.fetching.archive.store import answers_with, forget_in
from usage_assets.local.workers import HOLDING_A_PLACE, is_lost
from usage_assets.models.connection_graph import graph_of
from usage_assets.models.entities import all_entities, pushed_entities
from usage_assets.models.model import Model, Related, money_seed
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table

RUN = "people forget"
"""What stands for a run in the versions of days that were computed again."""
BESIDE = ("", ".wal", ".line", ".new", ".new.wal", ".former", ".tmp")
"""Suffixes of the files that DuckDB and we write next to a database. All of them are rewritten or removed."""


@dataclass(frozen=True)
class Forgetting:
    """Every place that names one person: what ``run`` changes."""

    settings: Settings
    warehouse: Warehouse
    person: Person
    forgotten: Forgotten
    """Everyone who is forgotten, this person included."""
    rows: InRows
    in_port: Mapping[str, Mapping[str, Sequence[Acknowledged]]]
    """Port account -> connection -> entities that change."""
    archived: Sequence[Path]
    captured: Sequence[Path]
    history: Named
    lacks_ids: bool
    """Whether no id of the person is known, now or from before. The policy ``ids`` stores no address next to an id."""
    handles: Sequence[str] = ()
    """Logins and the like of the person. They stay, because they may be words: a person names them with --id."""

    def lines(self, account: str) -> Iterator[str]:
        """Yield a line for each place, with how much of it there is."""
        for table, count in sorted(self.rows.rows.items()):
            yield f"{table}: rows {count:,}"
        yield f"archived answers: files {len(self.archived):,}"
        yield f"captured answers: files {len(self.captured):,}"
        yield f"Dagster's history: rows {sum(self.history.rows.values()):,} in files {len(self.history.rows):,}"
        yield f"Dagster's logs: files {len(self.history.logs):,}"
        yield f"Port: entities {_count(self.in_port.get(account, {})):,}"

    def elsewhere(self, account: str) -> Iterator[str]:
        """Yield a line for each place that this does not reach."""
        for other, lines in self.in_port.items():
            if other != account:
                yield f"Port account {other}: entities {_count(lines):,} stay until this is run for that account"
        path = Path(self.warehouse.database)
        ours = {f"{each.name}{end}" for each in (path, self.warehouse.published) for end in BESIDE}
        for backup in sorted(each for each in path.parent.glob("*.duckdb*") if each.name not in ours):
            yield f"{backup}: is not looked into: delete it if it is a copy of the database"

    def run(self, instance: dg.DagsterInstance, port: PortClient | None) -> Sequence[str]:
        """Replace the person everywhere. Returns why Port still has entities of theirs; everything else is done.

        Raises SettingsError if a run is under way or a file is in use, and WarehouseError.
        """
        refuse_runs(instance)
        self.forgotten.save(self.settings.forgotten_path)
        refuse_runs(instance)  # again: a run that began meanwhile may not have read the new file
        for path in self.archived:
            _forget_in(path, self.forgotten)
        for path in self.captured:
            path.unlink(missing_ok=True)
        replace_texts(self.history, self.person)
        if not self.warehouse.exists:
            return ()
        replace_in_rows(self.warehouse, self.person)
        compute_again(self.settings, self.warehouse)
        failures = self._push(port) if port else ()
        clean(self.settings, self.warehouse)
        return failures

    def _push(self, port: PortClient) -> Sequence[str]:
        """Send the entities as they are now, and delete those of old identifiers, by the push of their days."""
        failures: list[str] = []
        relations = self.settings.port_relations()
        concerned = unpushed_days(self.warehouse, port.account)
        for connection, lines in self.in_port.get(port.account, {}).items():
            concerned.setdefault(connection, set()).update(line.usage_date for line in lines)
        for connection, days in concerned.items():
            target = Slice(connection, min(days), max(days))
            entities = self._entities_of(connection)
            everything = PortLedger(self.warehouse, port.account, target, entities, relations=relations)
            try:
                for ledger in everything.ranges():
                    if not {*ledger.target.days}.isdisjoint(days):
                        report, _ = push_until_equal(port, ledger)
                        failures += [f"{each.blueprint}: {each.reason}" for each in report.failures]
            except PortError as error:
                failures.append(str(error))
        return failures

    def _entities_of(self, connection: str) -> Sequence[Related]:
        """Return what a connection's push sends (two providers may fill one blueprint), or all of it if it is not
        configured."""
        entities = all_entities(self.settings)
        configured = {each.name: each for each in self.settings.connections()}
        if connection in configured:
            return with_mappings(pushed_entities(configured[connection], entities))
        return [*{model.name: model for model in entities if model.pushed_as is None}.values()]


def compute_again(settings: Settings, warehouse: Warehouse) -> None:
    """Compute the stored days of what no query computes again, of the archive without the person: it may hold parts of
    their texts. A day that cannot be computed keeps its rows. Raises WarehouseError."""
    accounting = money_seed(settings.accounting())
    entities = all_entities(settings)
    for connection in settings.own_connections() if any(model.compute for model in entities) else ():
        for model, query in graph_of(connection, accounting, entities).models:
            if model.compute is None:
                continue
            for window in windows(_stored(warehouse, model, connection.name), MOST_DAYS):
                batch, refused = model.compute(query, warehouse, window.days)
                for left in windows([day for day in window.days if day not in refused], MOST_DAYS):
                    target = Slice(connection.name, left.first, left.last, model.part)
                    warehouse.replace(Table(model.row), batch.of(left.days), target, RUN)


def _stored(warehouse: Warehouse, model: Model, connection: str) -> list[date]:
    with warehouse.transaction(keep=False) as database:
        rows = database.execute(
            "select usage_date from ledger.stored_days "
            "where table_name = $table and slice = $part and connection = $name order by usage_date",
            {"table": model.row.table, "part": model.part, "name": connection},
        ).fetchall()
    return [day for (day,) in rows]


def refuse_runs(instance: dg.DagsterInstance) -> None:
    """Raise SettingsError if a run is under way: it may write the person again. One whose process was killed does not,
    and ends in Dagster's history when Dagster is started."""
    for run in instance.get_runs(dg.RunsFilter(statuses=[*UNDER_WAY, dg.DagsterRunStatus.CANCELING])):
        if run.status not in HOLDING_A_PLACE or not is_lost(instance, run):
            raise SettingsError(
                f"run {run.run_id} is under way: wait for its end, or cancel it in the UI, then run this again"
            )


def forgetting_of(
    address: str, ids: Sequence[str], settings: Settings, warehouse: Warehouse, instance: dg.DagsterInstance
) -> Forgetting:
    """Find everything that names the person. Raises SettingsError if nothing does, or if the connections file does.

    Also raises what ``all_entities`` does: a mapping that cannot be read would fail half way.
    """
    for line in settings.unread_sections:
        raise SettingsError(f"{line}; nothing was changed")
    all_entities(settings)
    address = address.strip().casefold()
    before = settings.forgotten()
    person, forgotten, handles = _person(address, ids, settings, warehouse, before)
    _refuse_stated(person, settings)
    has_tables, archive = warehouse.exists, settings.archive_path
    rows = find_rows(warehouse, person) if has_tables else InRows()
    found = Forgetting(
        settings,
        warehouse,
        person,
        forgotten,
        rows,
        in_port=lines_to_send(warehouse, rows.entities) if has_tables else {},
        archived=_archived(archive, forgotten) if archive else (),
        captured=[path for path in (settings.warehouse.folder / "captured").rglob("*") if _names(path, person)],
        history=find_texts(instance, person),
        lacks_ids=before.stand_in(address) is None
        and all("@" in value or value.startswith("person-") for value in person.stand_ins),
        handles=handles,
    )
    is_anywhere = rows.rows or found.archived or found.captured or found.history.rows or found.history.logs
    if not is_anywhere and before.stand_in(address) is None:
        raise SettingsError(f"{address} is unknown: nothing that is stored names them")
    return found


def _person(
    address: str, ids: Sequence[str], settings: Settings, warehouse: Warehouse, before: Forgotten
) -> tuple[Person, Forgotten, Sequence[str]]:
    """Return the person, what ``forgotten.json`` has to hold, and their logins that were not named.

    An id that already has a stand-in keeps it.
    """
    key = settings.usage_hash_key
    hashes = People("hash", key.get_secret_value()) if key else None
    aliases = [hashes.only_id(address)] if hashes else []
    known = known_of(warehouse, address, aliases, ids) if warehouse.exists else None
    written, found, names = (known.addresses, known.ids, known.names) if known else ((), (), ())
    addresses = sorted({address, *written, *(each.casefold() for each in written)})
    forgotten = before.with_stand_ins(
        [
            *((each, new_address) for each in addresses),
            *((value, new_id) for value in sorted({*ids, *found, *names})),
        ]
    )
    stand_ins = {value: forgotten.of(value) for value in (*addresses, *ids, *found)}
    if hashes:
        of_hash = hashes.only_id(stand_ins[address])
        forgotten = forgotten.with_stand_ins((alias, lambda: of_hash) for alias in aliases)
        stand_ins |= dict.fromkeys(aliases, of_hash)
    person = Person(stand_ins, {name: forgotten.of(name) for name in names})
    return person, forgotten, sorted(known.handles) if known else ()


def _refuse_stated(person: Person, settings: Settings) -> None:
    """Raise SettingsError for a file of the users' that names the person: what is computed with it would again."""
    for file in _computing_files(settings):
        if stated := _lines_with(person, file):
            raise SettingsError(
                f"{file}: names them in line {', '.join(stated)}, and would again: take that out first; "
                "nothing was changed"
            )
    path = settings.usage_connections
    if path and (stated := _lines_with(person, path)):
        others = sorted({text for text in settings.stated_with(person.stand_ins) if text.lower() not in person.needles})
        also = f", and name what else its [[person]] states: --id {' --id '.join(others)}" if others else ""
        raise SettingsError(
            f"{path}: names them in line {', '.join(stated)}, and would again: take that out first{also}; "
            "nothing was changed"
        )


def _computing_files(settings: Settings) -> Sequence[Path]:
    """Return the users' own files that entities are computed with, each once."""
    added = (file for files in hooks(FILES) for file in files(settings))
    files = [*added, *(Path(each.path) for each in settings.own_blueprints())]
    return [*dict.fromkeys(files)]


def _lines_with(person: Person, path: Path) -> Sequence[str]:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return [str(number) for number, line in lines if person.in_text(line) != line]


def _archived(folder: Path, forgotten: Forgotten) -> Sequence[Path]:
    try:
        return answers_with(folder, forgotten)
    except ArchiveError as error:
        raise SettingsError(str(error)) from None


def _forget_in(path: Path, forgotten: Forgotten) -> None:
    try:
        forget_in(path, forgotten)
    except ArchiveError as error:
        raise SettingsError(str(error)) from None


def _names(path: Path, person: Person) -> bool:
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    return person.in_text(text) != text


def _count(lines: Mapping[str, Sequence[Acknowledged]]) -> int:
    return sum(map(len, lines.values()))
