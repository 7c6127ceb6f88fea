"""Files of a lake that are removed, cut, overwritten or swapped are named; repaired, it holds what a file holds.

The file is written alike, and left alone. ``features/repair/test_repair.py`` does this with the commands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from usage_assets.core.schema import to_arrow
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.values import WarehouseError
from usage_assets_lake.doctor import compared
from usage_assets_lake.files import LakeFile, current_files
from usage_assets_lake.repair.days import StoredDay, all_different_days
from usage_assets_lake.repair.files import EVERY, damages
from usage_assets_lake.repair.repairing import forget_different, repair
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.fixtures import IS_NIGHT
from usage_assets_tests.warehouse.samples import SAMPLE, Sample, answer, day, sample

CONNECTIONS = ("a", "b", "c")
DAYS = range(27, 33)
"""Of two months."""
HELD = """
select sample.*, content_hash, row_count
from tests.sample
join ledger.stored_days using (connection, usage_date)
where table_name = 'tests.sample'
order by all
"""


@dataclass
class Game:
    """A lake that loses files, and a file that does not."""

    lake: Lake
    other: Warehouse
    chance: Random
    written: int = 0

    def restate(self) -> None:
        """Write some days of a connection."""
        self.written += 1
        first = self.chance.choice(DAYS)
        last = min(first + self.chance.randrange(4), DAYS[-1])
        connection, rows = self.chance.choice(CONNECTIONS), self.chance.randrange(4)
        self.write(connection, range(first, last + 1), rows, self.written, (self.lake, self.other))

    def write(
        self, connection: str, numbers: Sequence[int], rows: int, value: int, places: Sequence[Warehouse]
    ) -> None:
        content = [
            sample(number, f"m{row}", connection, requests=value, person=f"{connection}{row}@example.com")
            for number in numbers
            for row in range(rows)
        ]
        target = Slice(connection, day(numbers[0]), day(numbers[-1]))
        for place in places:
            place.replace(SAMPLE, answer(to_arrow(Sample, content)), target, "run")

    def bring_back(self, lost: Sequence[StoredDay]) -> None:
        """Write what the file holds of these days."""
        for each in lost:
            asked = {"connection": each.connection, "day": each.usage_date}
            rows = self.other.read(
                "select * from tests.sample where connection = $connection and usage_date = $day",
                asked,
            )
            content = [Sample(**row) for row in rows.to_pylist()]
            target = Slice(each.connection, each.usage_date, each.usage_date)
            self.lake.replace(SAMPLE, answer(to_arrow(Sample, content)), target, "again")

    def current(self) -> Sequence[LakeFile]:
        with self.lake.session() as session:
            return [file for file in current_files(session) if file.table == SAMPLE.name]

    # What happens to a file

    def remove(self, file: LakeFile) -> None:
        Path(file.path).unlink()

    def cut(self, file: LakeFile) -> None:
        content = Path(file.path).read_bytes()
        Path(file.path).write_bytes(content[: self.chance.randrange(len(content))])

    def overwrite(self, file: LakeFile) -> None:
        content = Path(file.path).read_bytes()
        Path(file.path).write_bytes(content[:-8] + bytes(8))

    def swap(self, file: LakeFile) -> None:
        """Swap it with one of the same kind."""
        others = [
            other
            for other in self.current()
            if other.path != file.path and other.is_of_deletions is file.is_of_deletions
        ]
        other = self.chance.choice(others) if others else file
        first, second = Path(file.path).read_bytes(), Path(other.path).read_bytes()
        Path(file.path).write_bytes(second)
        Path(other.path).write_bytes(first)
        if first == second:
            Path(file.path).unlink()

    def flip(self, file: LakeFile) -> None:
        """Flip a bit."""
        content = bytearray(Path(file.path).read_bytes())
        content[self.chance.randrange(len(content))] ^= 1 << self.chance.randrange(8)
        Path(file.path).write_bytes(content)


def held(warehouse: Warehouse) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = warehouse.read(HELD).to_pylist()
    return rows


HAPPENS = (Game.remove, Game.cut, Game.overwrite, Game.swap, Game.flip)


@pytest.mark.parametrize("seed", range(3) if IS_NIGHT else [0])
def test_a_lake_that_loses_files_holds_what_a_file_holds(lake: Lake, new_warehouse: Warehouse, seed: int) -> None:
    with new_warehouse.get_connection():  # it stays open: less work
        play(Game(lake, new_warehouse, Random(seed)), seed)


def play(playing: Game, seed: int) -> None:
    """Lose a file in each way."""
    for number in range(len(HAPPENS)):
        for _ in range(2):
            playing.restate()
        if playing.chance.random() < 0.4:
            playing.lake.maintain(timedelta(0))
        assert all(each.sha256 for each in playing.current())
        file = playing.chance.choice(playing.current())
        happened = HAPPENS[(seed + number) % len(HAPPENS)]
        happened(playing, file)
        playing.lake.detach()  # as another process
        found = damages(playing.lake, EVERY)
        assert file.path in {each.file.path for each in found}
        assert all(each.file.first is None or date.min < each.file.first for each in found)
        playing.bring_back(repair(playing.lake, found))
        playing.bring_back(forget_different(playing.lake))
        assert held(playing.lake) == held(playing.other)
        assert not damages(playing.lake, EVERY)
        assert not [*all_different_days(playing.lake)]


@pytest.mark.parametrize("place", ["lake", "lake_in_store"])
def test_files_of_a_store_or_an_earlier_release_get_a_digest_when_rows_are_right(
    request: pytest.FixtureRequest, new_warehouse: Warehouse, place: str
) -> None:
    lake: Lake = request.getfixturevalue(place)
    playing = Game(lake, new_warehouse, Random(0))
    playing.restate()
    with lake.session() as session:
        session.execute("drop table if exists usage_assets_digest")
    assert not damages(lake, EVERY)
    with lake.transaction() as database:
        database.execute("update tests.sample set requests = requests + 1")
    with lake.session() as session:
        session.execute("truncate usage_assets_digest")
    [finding] = compared(lake, EVERY)
    assert "not hold the rows that were written" in finding.text
    assert not any(each.sha256 for each in playing.current())
    playing.bring_back(forget_different(lake))
    assert not compared(lake, EVERY)
    assert all(each.sha256 for each in playing.current())


def test_a_file_that_was_found_to_differ_is_not_used_until_it_is_restored(lake: Lake, new_warehouse: Warehouse) -> None:
    playing = Game(lake, new_warehouse, Random(0))
    for _ in range(2):
        playing.write("a", [DAYS[0]], 1, 1, [lake])
    playing.write("b", [DAYS[0]], 1, 1, [lake])
    file = playing.current()[0]
    content = Path(file.path).read_bytes()
    playing.flip(file)
    assert not damages(lake), "nobody has looked at its bytes"
    with pytest.raises(WarehouseError, match=f"{file.path} holds other bytes than were written, so nothing was merged"):
        lake.maintain(timedelta(0))
    assert [each.file.path for each in damages(lake)] == [file.path]
    with pytest.raises(WarehouseError, match=f"{file.path} cannot be read: usage-assets repair shows what to do"):
        held(lake)
    assert lake.read("select count(*) from ledger.partition_versions")
    Path(file.path).write_bytes(content)
    assert not damages(lake, EVERY)
    assert not damages(lake)
    assert held(lake)
    lake.maintain(timedelta(0))
    assert all(each.sha256 for each in playing.current())
