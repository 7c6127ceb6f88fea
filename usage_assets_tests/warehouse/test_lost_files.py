"""Files of a lake that are removed, cut, overwritten or swapped are named; repaired, it holds what a file holds.

The file is written alike, and left alone. ``features/repair/test_repair.py`` does this with the commands.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any, cast
from urllib.parse import urlsplit

import boto3
import pytest

from usage_assets.core.schema import to_arrow
from usage_assets.core.warehouse_address import LAKE
from usage_assets.features.lake.warehouse import Lake
from usage_assets.features.repair.days import StoredDay, all_different_days
from usage_assets.features.repair.files import CURRENT, LakeFile, damages
from usage_assets.features.repair.repairing import forget_different, repair
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets_tests.conftest import IS_NIGHT
from usage_assets_tests.object_store import CREDENTIALS
from usage_assets_tests.postgres import new_database
from usage_assets_tests.warehouse.samples import SAMPLE, Sample, answer, day, sample

pytestmark = pytest.mark.slow

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


class Folder:
    """Files of a lake that is a folder."""

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        Path(path).write_bytes(content)

    def remove(self, path: str) -> None:
        Path(path).unlink()


class Bucket:
    """Objects of a lake that is a bucket, as somebody else's program changes them."""

    def __init__(self, url: str) -> None:
        self._client = boto3.client("s3", endpoint_url=url)

    def read(self, path: str) -> bytes:
        content: bytes = self._client.get_object(**_named(path))["Body"].read()
        return content

    def write(self, path: str, content: bytes) -> None:
        self._client.put_object(**_named(path), Body=content)

    def remove(self, path: str) -> None:
        self._client.delete_object(**_named(path))


def _named(path: str) -> Mapping[str, str]:
    address = urlsplit(path)
    return {"Bucket": address.netloc, "Key": address.path.lstrip("/")}


@dataclass
class Game:
    """A lake that loses files, and a file that does not."""

    lake: Lake
    other: Warehouse
    files: Folder | Bucket
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
            found = [LakeFile(*row) for row in session.execute(CURRENT).fetchall()]
        return [file for file in found if file.table == SAMPLE.name]

    # What happens to a file

    def remove(self, file: LakeFile) -> None:
        self.files.remove(file.path)

    def cut(self, file: LakeFile) -> None:
        content = self.files.read(file.path)
        self.files.write(file.path, content[: self.chance.randrange(len(content))])

    def overwrite(self, file: LakeFile) -> None:
        content = self.files.read(file.path)
        self.files.write(file.path, content[:-8] + bytes(8))

    def swap(self, file: LakeFile) -> None:
        """Swap it with one of the same kind."""
        others = [
            other
            for other in self.current()
            if other.path != file.path and (other.delete_file_id is None) is (file.delete_file_id is None)
        ]
        other = self.chance.choice(others) if others else file
        first, second = self.files.read(file.path), self.files.read(other.path)
        self.files.write(file.path, second)
        self.files.write(other.path, first)
        if first == second:
            self.files.remove(file.path)


def held(warehouse: Warehouse) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = warehouse.read(HELD).to_pylist()
    return rows


HAPPENS: Sequence[Callable[[Game, LakeFile], None]] = (Game.remove, Game.cut, Game.overwrite, Game.swap)


@pytest.fixture
def game(
    request: pytest.FixtureRequest, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str, int], Game]]:
    """Return what makes a game of a seed, with files in a folder or in a bucket."""
    with ExitStack() as ending:
        other = Warehouse(database=str(tmp_path / "other.duckdb"))
        ending.enter_context(other.get_connection())  # it stays open: less work

        def new(place: str, seed: int) -> Game:
            data, files = str(tmp_path / "lake"), cast(Folder | Bucket, Folder())
            if place == "bucket":
                url = request.getfixturevalue("object_store")
                for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": url}.items():
                    monkeypatch.setenv(name, value)
                data, files = f"s3://lakes/{tmp_path.name}", Bucket(url)
            lake = Lake(database=f"{LAKE}{new_database(postgres)}", data=data)
            ending.callback(lake.detach)
            return Game(lake, other, files, Random(seed))

        yield new


GAMES = [("folder", 0, 4), ("bucket", 0, 1)]
"""Where the files are, the seed, and how many of them are lost: by night, each kind of loss happens in each game."""
OF_NIGHT = [("folder", 0, 4), ("folder", 1, 4), ("folder", 2, 4), ("bucket", 0, 4)]


@pytest.mark.parametrize(("place", "seed", "losses"), OF_NIGHT if IS_NIGHT else GAMES)
def test_a_lake_that_loses_files_holds_what_a_file_holds(
    game: Callable[[str, int], Game], place: str, seed: int, losses: int
) -> None:
    playing = game(place, seed)
    for number in range(losses):
        for _ in range(2):
            playing.restate()
        if playing.chance.random() < 0.4:
            playing.lake.maintain(timedelta(0))
        file = playing.chance.choice(playing.current())
        HAPPENS[(seed + number) % len(HAPPENS)](playing, file)
        playing.lake.detach()  # as another process
        found = damages(playing.lake)
        if found:
            assert file.path in {each.file.path for each in found}
            assert all(each.file.first is None or date.min < each.file.first for each in found)
            playing.bring_back(repair(playing.lake, found))
        else:  # both say the same of themselves
            assert HAPPENS[(seed + number) % len(HAPPENS)] is Game.swap
        different = [*all_different_days(playing.lake)]
        playing.bring_back(forget_different(playing.lake))
        assert bool(found) or bool(different)
        assert held(playing.lake) == held(playing.other)
        assert not damages(playing.lake)
        assert not [*all_different_days(playing.lake)]
