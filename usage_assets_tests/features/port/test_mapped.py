"""Entities of mappings in the emulated Port: after those to which they relate, in blueprints of others."""

from collections.abc import Callable
from datetime import date

from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import Entity
from usage_assets_tests.features.port.conftest import Catalog

DAY = date(2026, 11, 1)


def mapped(blueprint: str, identifier: str, **relations: str | list[str] | None) -> Entity:
    """An entity of a mapping."""
    return Entity(blueprint, identifier, None, {}, DAY, relations, resource="a mapping")


def test_what_is_deleted_goes_before_that_to_which_it_relates(
    catalog: Catalog, new_client: Callable[..., PortClient]
) -> None:
    optional = {"required": False, "many": False, "title": "t"}
    for name in ("a", "b", "c", "d", "kept"):
        catalog.add_users_blueprint(name)
    relations = {
        "a": {"next": {**optional, "target": "a"}},
        "b": {"all": {**optional, "target": "a", "many": True}, "other": {**optional, "target": "c"}},
        "c": {"back": {**optional, "target": "b", "required": True}},
        "kept": {"one": {**optional, "target": "a"}},
    }
    ring = [mapped("a", str(n), next=str((n + 1) % 150)) for n in range(150)]
    chain = [mapped("b", "y", all=["0", "149"]), mapped("c", "z", back="y"), mapped("b", "x", all=[], other="z")]
    kept = mapped("kept", "k", one="7")
    for name, declared in relations.items():
        catalog.as_user("PATCH", f"/blueprints/{name}", {"relations": declared})
    alone = new_client(concurrency=1)
    assert catalog.push([*ring, *chain, mapped("d", "w"), kept], alone).failures == []
    left = catalog.push([mapped("kept", "k", one=None)], alone)
    assert left.failures == []
    assert left.deleted == len(ring) + len(chain) + 1
    assert {name: catalog.client.count(name) for name in ("a", "b", "c", "d", "kept")} == {
        "a": 0,
        "b": 0,
        "c": 0,
        "d": 0,
        "kept": 1,
    }
    assert catalog.push([mapped("kept", "k", one=None)]).requests == 0


def test_a_blueprint_of_a_mapping_must_be_there_and_nothing_of_ours_is_added(catalog: Catalog) -> None:
    report = catalog.push([mapped("nothing", "a")])
    [refused] = report.failures
    assert refused.reason == "Port has no blueprint nothing: create it there, a mapping does not"
    catalog.add_users_blueprint("nothing")
    assert catalog.push([mapped("nothing", "a")]).failures == []
    shown = catalog.client.get_blueprint("nothing")
    assert shown
    assert shown["relations"] == {}
