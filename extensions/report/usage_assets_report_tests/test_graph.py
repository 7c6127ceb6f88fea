"""What the report adds to the graph."""

import dagster as dg
import pytest

from usage_assets.build import build_definitions
from usage_assets.core.schema import declared
from usage_assets.warehouse.tables import Table, described
from usage_assets_report.graph.insights import ASSETS
from usage_assets_report.graph.page import REPORT
from usage_assets_report.graph.sensor import REPORT_JOB
from usage_assets_report.in_port import PORT_INSIGHTS
from usage_assets_report_tests.snapshot import FILE
from usage_assets_tests.alone import alone_with
from usage_assets_tests.graphs import KEYS, PORT
from usage_assets_tests.snapshot import added_by, settings_of


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """The graph of the core and the report."""
    with alone_with("report"):
        return build_definitions(settings_of(**KEYS, **PORT))


def test_what_it_adds_is_what_the_snapshot_says() -> None:
    assert added_by("report") == FILE.read_text(), "make snapshot writes it: look at what has changed"


def test_one_job_has_its_assets_and_their_checks(definitions: dg.Definitions) -> None:
    layer = definitions.resolve_job_def(REPORT_JOB).asset_layer
    assert {key.to_user_string() for key in layer.executable_asset_keys} == {*ASSETS, REPORT, PORT_INSIGHTS}
    keys = definitions.get_repository_def().asset_graph.asset_check_keys
    of_it = {key for key in keys if key.asset_key in layer.executable_asset_keys}
    assert layer.asset_graph.asset_check_keys == of_it != set()


def test_every_column_is_described(definitions: dg.Definitions) -> None:
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    for name in ASSETS:
        shown = {column.name: column for column in specs[name].metadata["dagster/column_schema"].columns}
        declaration = Table(declared(specs[name].metadata["dagster/table_name"])).columns
        assert {each.name: described(each) for each in declaration} == {
            each: column.description for each, column in shown.items()
        }


def test_what_is_in_port_needs_port_and_the_sensor_runs_with_keys() -> None:
    with alone_with("report"):
        built = build_definitions(settings_of(openai_admin_key="k"))
    keys = {spec.key.to_user_string() for spec in built.resolve_all_asset_specs()}
    assert PORT_INSIGHTS not in keys >= {*ASSETS, REPORT}
    statuses = {each.name: each.default_status for each in built.get_repository_def().sensor_defs}
    assert statuses["report_sensor"] is dg.DefaultSensorStatus.RUNNING
