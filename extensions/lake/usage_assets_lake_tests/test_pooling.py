"""Behind a pooler that gives two processes one session, no lock holds anybody off: nothing is written there."""

import logging
import shutil
from pathlib import Path

import pytest

from usage_assets.cli.findings import Level
from usage_assets.config.settings import Settings
from usage_assets.core.warehouse_address import LAKE
from usage_assets.warehouse.values import WarehouseError
from usage_assets_lake.doctor import services
from usage_assets_lake.warehouse import Lake
from usage_assets_tests.pgbouncer import pooled
from usage_assets_tests.postgres import new_database
from usage_assets_tests.warehouse.samples import sample, write

pytestmark = [
    pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="needs apt-get install pgbouncer"),
]


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
