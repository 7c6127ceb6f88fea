"""By what the warehouse knows a person: what is in the rows of an address, whatever else these say."""

from datetime import timedelta

import pytest

from usage_assets.core.schema import to_arrow
from usage_assets.features.deletion.people import Known, known_of
from usage_assets.providers.openai.lookups import OpenaiUsers, ProjectApiKeys
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.lookups import record
from usage_assets.warehouse.tables import Table
from usage_assets_tests.fixtures import NOW

FORMER, ADDRESS = "Ann.Smith@x.example", "Ann.Jones@x.example"


@pytest.fixture
def warehouse(warehouse: Warehouse) -> Warehouse:
    """Ann has married: two versions of her user. There are two keys, of which she has called one after herself."""
    for hours, address in enumerate((FORMER, ADDRESS)):
        moment = NOW + timedelta(hours=hours)
        users = [
            OpenaiUsers(connection="openai", id="user-ann", valid_from=moment, name="Ann", email=address),
            OpenaiUsers(connection="openai", id="user-bob", valid_from=moment, name="Bob", email="bob@x.example"),
        ]
        record(warehouse, Table(OpenaiUsers), to_arrow(OpenaiUsers, users), "openai", moment, {})
    keys = [
        ProjectApiKeys(connection="openai", id=name, valid_from=NOW, name=name)
        for name in ("ann.jones laptop", "joann.jones", "ann")
    ]
    record(warehouse, Table(ProjectApiKeys), to_arrow(ProjectApiKeys, keys), "openai", NOW, {})
    return warehouse


def test_an_address_leads_to_ids_names_and_former_addresses(warehouse: Warehouse) -> None:
    found = known_of(warehouse, ADDRESS.lower(), [], [])
    assert found == Known(frozenset({FORMER, ADDRESS}), frozenset({"user-ann"}), frozenset({"Ann", "ann.jones laptop"}))
