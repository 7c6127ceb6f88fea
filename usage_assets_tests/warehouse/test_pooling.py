"""Behind a pooler that gives two processes one session, no lock holds anybody off: nothing is written there."""

import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from usage_assets.cli.findings import Level
from usage_assets.config.settings import Settings
from usage_assets.core.warehouse_address import LAKE
from usage_assets.features.lake.doctor import services
from usage_assets.features.lake.warehouse import Lake
from usage_assets.warehouse.values import WarehouseError
from usage_assets_tests.postgres import new_database
from usage_assets_tests.warehouse.samples import sample, write

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="needs apt-get install pgbouncer"),
]
SETTINGS = """
[databases]
* = host={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
server_round_robin = {takes_turns}
ignore_startup_parameters = options, extra_float_digits
"""


@contextmanager
def pooled(database: str, mode: str, *, takes_turns: int = 0) -> Iterator[str]:
    """Yield the connection string of a database through pgbouncer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        settings = Path(folder, "pgbouncer.ini")
        known = conninfo_to_dict(database)
        settings.write_text(SETTINGS.format(server=known["host"], port=port, mode=mode, takes_turns=takes_turns))
        settings.chmod(0o644)
        user = Path(str(known["host"])).stat().st_uid if os.getuid() == 0 else None  # it refuses to be root
        address = f"host=127.0.0.1 port={port} user=postgres dbname={known['dbname']}"
        with subprocess.Popen(["pgbouncer", "--quiet", settings], user=user, stderr=subprocess.DEVNULL) as pooler:
            try:
                while pooler.poll() is None:
                    try:
                        psycopg.connect(address).close()
                        break
                    except psycopg.OperationalError:
                        time.sleep(0.02)
                assert pooler.poll() is None
                yield address
            finally:
                pooler.kill()


@pytest.mark.parametrize("takes_turns", [0, 1])
def test_in_transaction_mode_nothing_is_written_and_the_doctor_says_why(
    postgres: str, tmp_path: Path, takes_turns: int
) -> None:
    with pooled(new_database(postgres), "transaction", takes_turns=takes_turns) as address:
        lake = Lake(database=f"{LAKE}{address}", data=str(tmp_path / "lake"))
        with pytest.raises(WarehouseError, match="a pooler in transaction mode, where two processes get the same lock"):
            write(lake, [sample()])
        assert not lake.exists
        settings = Settings(usage_warehouse=lake.database, usage_warehouse_data=lake.data)
        [found] = services(settings)
        assert (found.level, "name PostgreSQL itself" in found.text) == (Level.FAIL, True)
        lake.detach()


def test_in_session_mode_locks_hold_and_a_warning_is_given(
    postgres: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pooled(new_database(postgres), "session") as address, caplog.at_level(logging.WARNING):
        lake = Lake(database=f"{LAKE}{address}", data=str(tmp_path / "lake"))
        write(lake, [sample()])
        [told] = [each.getMessage() for each in caplog.records if "pooler" in each.getMessage()]
        assert "in session mode" in told
        settings = Settings(usage_warehouse=lake.database, usage_warehouse_data=lake.data)
        [found] = services(settings)
        assert found.level is Level.WARN
        lake.detach()


def test_of_postgresql_itself_nothing_is_said(lake: Lake) -> None:
    write(lake, [sample()])
    assert not [*services(Settings(usage_warehouse=lake.database, usage_warehouse_data=lake.data))]
