"""A person in stored entities of a mapping whose answer the archive no longer has: only texts can be replaced."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

from usage_assets.core.forgotten import Person
from usage_assets.core.schema import to_arrow
from usage_assets.features.deletion.people import find_rows, replace_in_rows
from usage_assets.features.port.mapped import MappedEntity
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.slices import Slice
from usage_assets.warehouse.tables import Table
from usage_assets.warehouse.values import Batch
from usage_assets_mapping.making import valid_names

DAY = date(2026, 11, 10)
NAME, ADDRESS = "Dana Özdemir", "dana@corp.example"
PERSON = Person({ADDRESS: "forgotten-1@forgotten.invalid"}, {NAME: "forgotten-2"})


def entity(identifier: str, **content: object) -> MappedEntity:
    return MappedEntity(
        connection="anthropic",
        usage_date=DAY,
        resource="people",
        blueprint="person",
        identifier=identifier,
        content=json.dumps(content, sort_keys=True, ensure_ascii=False),
        items=1,
    )


def test_a_relation_leads_to_the_same_entity_as_before(tmp_path: Path) -> None:
    """Of a name that Port refuses, an identifier has a hash, which would be a trace of it."""
    warehouse = Warehouse(database=str(tmp_path / "usage.duckdb"))
    with warehouse.get_connection() as database:
        valid = valid_names(database, [NAME])[NAME]
    assert valid.startswith("Dana_Özdemir-")
    lists = {"relations": {"boss": valid, "all": [valid, "ann"]}, "properties": {"who": [f'by "{ADDRESS}"', NAME, 1.5]}}
    rows = [entity(valid, title=NAME, properties={}), entity("team", **lists), entity("other", properties={"n": 1})]
    batch = Batch(rows=to_arrow(MappedEntity, rows), began=datetime.now(UTC))
    warehouse.replace(Table(MappedEntity), batch, Slice("anthropic", DAY, DAY, "people"), "run")
    assert find_rows(warehouse, PERSON).entities == {("person", valid), ("person", "team")}
    replace_in_rows(warehouse, PERSON)
    stored = warehouse.read("select identifier, content from mapping.entities order by items, identifier").to_pylist()
    found = {row["identifier"]: json.loads(row["content"]) for row in stored}
    assert found == {
        "forgotten-2": {"title": "forgotten-2", "properties": {}},
        "other": {"properties": {"n": 1}},
        "team": {
            "relations": {"boss": "forgotten-2", "all": ["forgotten-2", "ann"]},
            "properties": {"who": ['by "forgotten-1@forgotten.invalid"', "forgotten-2", 1.5]},
        },
    }
    assert find_rows(warehouse, PERSON).entities == set()
