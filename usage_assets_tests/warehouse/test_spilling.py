"""What does not fit in memory goes to a folder of each process, and nothing of it stays."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.spilling import PREFIX, _folder_of
from usage_assets_tests.warehouse.samples import sample, write

SPILLING = """
import sys
from usage_assets.warehouse.readable import ReadableFile
file = ReadableFile(database=sys.argv[1])
with (file.reading() if sys.argv[2] == "reading" else file.reading_apart()) as connection:
    connection.execute("set memory_limit = '40MB'")
    [(rows,)] = connection.execute(
        "select count(*) from (select md5(range::text) as text from range(1000000) order by text limit 950000)"
    ).fetchall()
    print(rows, connection.execute("select current_setting('temp_directory')").fetchone()[0], flush=True)
    if len(sys.argv) > 3:
        input()
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """A file with a published copy."""
    made = Warehouse(database=str(tmp_path / "usage.duckdb"))
    write(made, [sample()])
    publish(made)
    return made


def test_a_folder_of_somebody_else_is_never_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its name: all of /tmp/usage_assets_my_project would have gone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    long_ago = time.time() - 3600
    folders = [tmp_path / name for name in ("usage_assets_my_project", "usage_assets_1_project")]
    for folder in folders:
        folder.mkdir()
        (folder / "work").touch()
        os.utime(folder, (long_ago, long_ago))
    (folders[0] / "lock").touch()
    os.utime(folders[0], (long_ago, long_ago))
    _folder_of(-1)  # no process has it: the cache holds nothing of it
    assert all((folder / "work").exists() for folder in folders)


def test_what_a_killed_process_has_left_is_removed_by_the_next_one(warehouse: Warehouse) -> None:
    command = [sys.executable, "-c", SPILLING, warehouse.database, "reading"]
    with subprocess.Popen([*command, "stay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as alive:
        assert alive.stdout
        of_alive = Path(alive.stdout.readline().split()[1])
        with subprocess.Popen([*command, "stay"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as killed:
            assert killed.stdout
            of_killed = Path(killed.stdout.readline().split()[1])
            killed.kill()
        long_ago = time.time() - 3600
        for folder in (of_alive, of_killed):
            os.utime(folder, (long_ago, long_ago))
        apart = subprocess.run([*command[:-1], "reading_apart"], capture_output=True, text=True, check=True)
        assert Path(apart.stdout.split()[1]).name.startswith(PREFIX)
        assert (of_alive.exists(), of_killed.exists()) == (True, False)
        assert not Path(apart.stdout.split()[1]).exists()
        alive.communicate("")
    assert not of_alive.exists()
