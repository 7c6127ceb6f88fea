"""Endpoints are data: what every declaration must be consistent with."""

from dataclasses import replace

import pytest

from usage_assets.core.schema import columns
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT


def test_an_endpoint_contradicts_nothing(subtests: pytest.Subtests) -> None:
    for name, (provider, endpoint) in EVERY_ENDPOINT.items():
        with subtests.test(name):
            a_window_fits_on_a_page(endpoint)
            # Money is in the costs or says whose it is.
            sources = {source.table for source in provider.costs}
            units = {"USD", "cents", "credits", "currency units"}
            if any(column.unit in units for column in columns(endpoint.row)):
                assert (endpoint.row.table in sources) != (endpoint.part_of in sources)
            else:
                assert not endpoint.part_of
            # A newer report states nothing that the table of the older one lacks.
            if newer := endpoint.newer:
                lacking = {column.name for column in columns(newer.row)} - {
                    column.name for column in columns(endpoint.row)
                }
                assert lacking <= {"requests"}, "which are null in parts of a cost"
                assert newer.name == endpoint.name, "whose answers the archive keeps together"


def a_window_fits_on_a_page(endpoint: Endpoint) -> None:
    size = next((endpoint.params[name] for name in ("limit", "pageSize") if name in endpoint.params), 1)
    assert endpoint.files or int(size) >= endpoint.window_days


def test_anthropic_refuses_more_than_five_dimensions() -> None:
    for name in ("anthropic", "anthropic_analytics"):
        for endpoint in PROVIDERS[name].endpoints:
            assert len({*endpoint.group_by} - {"cost_type", "token_type"}) <= 5, "these two do not count"
            assert "rbac_group_id" not in endpoint.group_by, "its groups overlap"


def test_every_usage_report_of_openai_is_grouped_by_all_that_identifies_its_rows() -> None:
    for endpoint in PROVIDERS["openai"].endpoints:
        assert endpoint.group_by == endpoint.row.grain[: len(endpoint.group_by)]
        assert set(endpoint.row.grain) - set(endpoint.group_by) <= {"amount_currency", "quantity_unit", "occurrence"}


def test_a_path_takes_ids_of_the_connection_by_name() -> None:
    provider = PROVIDERS["chatgpt"]
    endpoint = replace(provider.endpoints[0], path="enterprises/{enterprise}/{team}/usage")
    assert endpoint.path_in({"enterprise": "a/b", "team": "c", "organization": "d"}) == "enterprises/a%2Fb/c/usage"
    other = replace(provider, endpoints=(endpoint,), scope_headers={"team": "X-Team"}, names_organization=True)
    assert (other.path_parameters, other.ids) == (("enterprise", "team"), ("team", "organization", "enterprise"))
