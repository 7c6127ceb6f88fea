"""What the package adds, and what is said where it is missing."""

import dagster as dg
import pytest

from usage_assets.build import build_definitions
from usage_assets.core.warehouse_address import LAKE, AddressError, WarehouseAddress
from usage_assets.warehouse.opened import warehouse_at
from usage_assets_lake.graph import VERIFY_JOB
from usage_assets_tests.alone import core_alone
from usage_assets_tests.loaded import loaded_by
from usage_assets_tests.snapshot import settings_of


def test_a_lake_needs_it() -> None:
    with (
        core_alone(),
        pytest.raises(AddressError, match="the package usage-assets-lake is missing"),
    ):
        warehouse_at(WarehouseAddress(f"{LAKE}dbname=usage", "data"))


def test_without_it_the_nightly_comparison_is_left_out_and_all_else_is_there() -> None:
    def jobs() -> set[str]:
        return {job.name for job in dg.Definitions.resolve_all_job_defs(build_definitions(settings_of()))}

    everything = jobs()
    with core_alone():
        assert everything - jobs() >= {VERIFY_JOB}


def test_move_loads_no_dagster() -> None:
    loaded = loaded_by("usage_assets.cli.main", "usage_assets.cli.main.load('move')")
    assert not {"dagster", "dagster_shared"} & loaded


def test_a_file_loads_no_driver_of_postgresql() -> None:
    modules = (
        "usage_assets.definitions, usage_assets_lake.doctor, usage_assets_lake.graph, usage_assets_lake.move.command"
    )
    assert not {name for name in loaded_by(modules) if name.startswith("psycopg")}
