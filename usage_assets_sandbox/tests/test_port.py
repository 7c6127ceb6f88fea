"""The emulated Port refuses what Port's published API reference refuses: each rule as a table of cases."""

import json
from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from usage_assets_sandbox.port import PortStore
from usage_assets_sandbox.tests.calling import bodies
from usage_assets_sandbox.tests.port_client import (
    CREDENTIALS,
    DAY,
    UPSERT,
    USAGE,
    Clock,
    Port,
    assert_refused,
    client_of,
    entity,
    provisioned,
)

MEBIBYTE = 1_048_576
BULK = "blueprints/usage/entities/bulk"
MERGE = {"upsert": "true", "merge": "true"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> PortStore:
    return PortStore(clock=clock)


@pytest.fixture
def client(store: PortStore) -> TestClient:
    return client_of(store)


@pytest.fixture
def port(client: TestClient) -> Port:
    return provisioned(client)


# Tokens


CALLS = [
    line.split()
    for line in """\
        GET     blueprints
        POST    blueprints
        GET     blueprints/usage
        PATCH   blueprints/usage
        DELETE  blueprints/usage
        POST    blueprints/usage/entities?upsert=true
        POST    blueprints/usage/entities/bulk?upsert=true
        POST    blueprints/usage/entities/search
        POST    blueprints/usage/bulk/entities/delete?delete_dependents=false
        GET     blueprints/usage/entities/a
        DELETE  blueprints/usage/entities/a?delete_dependents=false
        GET     blueprints/usage/entities-count
        POST    entities/search
        GET     blueprints/usage/scorecards
        POST    blueprints/usage/scorecards
        POST    pages""".splitlines()
]


def test_every_route_needs_a_token(port: Port) -> None:
    for method, path in CALLS:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            assert_refused(port.client.request(method, f"/port/v1/{path}", headers=headers), 401, "token")


def test_no_route_takes_a_parameter_that_it_does_not_know(port: Port) -> None:
    for method, path in (*CALLS, ("POST", "auth/access_token")):
        answer = port.call(method, f"{path}{'&' if '?' in path else '?'}nonsense=1")
        assert_refused(answer, 422, "`nonsense`")


# Rate limits


@pytest.mark.parametrize(
    ("limit", "method", "path"),
    [
        ("entities_limit", "GET", "blueprints/usage/entities-count"),
        ("other_limit", "GET", "blueprints/usage"),
        ("unauthenticated_limit", "POST", "auth/access_token"),
    ],
)
def test_over_the_limit_is_a_429_until_the_period_ends(
    port: Port, store: PortStore, clock: Clock, limit: str, method: str, path: str
) -> None:
    clock.now += timedelta(seconds=300)
    setattr(store.settings, limit, 2)
    answers = [port.call(method, path, CREDENTIALS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert [answer.headers.get("retry-after") for answer in answers] == [None, None, "300"]
    clock.now += timedelta(seconds=299.5)
    late = port.call(method, path, CREDENTIALS)
    assert_refused(late, 429, "1 s")
    assert late.headers["retry-after"] == "1"
    clock.now += timedelta(seconds=0.5)
    assert port.call(method, path, CREDENTIALS).status_code == 200


# Bodies


@pytest.mark.parametrize(("excess", "status"), [(0, 200), (1, 413)])
def test_a_body_may_have_one_mebibyte(port: Port, excess: int, status: int) -> None:
    body = json.dumps({"entities": [entity()]}).encode()
    body += b" " * (MEBIBYTE + excess - len(body))
    assert port.send("POST", f"{BULK}?upsert=true", body).status_code == status
    assert port.count() == (1 if status == 200 else 0)


# Blueprints


def blueprint(**changes: object) -> dict[str, Any]:
    return {"identifier": "new", "title": "New", "schema": {"properties": {}}} | changes


def test_a_blueprint_outside_the_schema_is_refused_and_the_fault_is_named(port: Port) -> None:
    long_name = {"schema": {"properties": {"p" * 101: {"type": "string"}}}}
    for changes, fragment in (
        *bodies("""
            {"identifier": null} -> identifier
            {"identifier": "a b"} -> 'a b'
            {"schema": {"properties": {}, "required": ["p"]}} -> 'p'
            {"schema": {"properties": {"p": {"type": "integer"}}}} -> schema.properties.p
            {"schema": {"properties": {"p": {"type": "string", "format": "uuid"}}}} -> schema.properties.p
            {"schema": {"properties": {"p": {"type": "string", "enum": ["a"], "enumColors": {"a": "black"}}}}}
                -> schema.properties.p
            {"calculationProperties": {"c": {"calculation": "1", "type": "string", "colors": {"a": "black"}}}}
                -> calculationProperties.c
            {"mirrorProperties": {"m": {"path": "title"}}} -> mirrorProperties.m
            {"aggregationProperties": {"a": {"title": "A", "target": "none",
                "calculationSpec": {"func": "count", "calculationBy": "entities"}}}}
                -> 'none'
            {"aggregationProperties": {"a": {"title": "A", "target": "usage", "calculationSpec": {
                "func": "average", "averageOf": "year", "calculationBy": "property", "property": "cost"}}}}
                -> averageOf
            {"relations": {"r": {"target": "squad", "required": false, "many": false, "name": "x"}}} -> `name`
            {"relations": {"r": {"target": "none", "required": false, "many": false}}} -> 'none'
        """),
        (long_name, "longer than 100"),
    ):
        body = {name: value for name, value in blueprint(**changes).items() if value is not None}
        assert_refused(port.call("POST", "blueprints", body), 422, fragment)
        assert port.call("GET", "blueprints/new").status_code == 404
        replaced = port.call("PUT", "blueprints/usage", USAGE | body | {"identifier": body.get("identifier", 1)})
        assert replaced.status_code == 422
        assert port.call("GET", "blueprints/usage").json()["blueprint"]["schema"] == USAGE["schema"]


def date_blueprint(form: str = "date") -> dict[str, Any]:
    return blueprint(schema={"properties": {"when": {"type": "string", "format": form}}})


def test_the_format_date_is_refused_wherever_a_blueprint_is_written(port: Port) -> None:
    assert_refused(port.call("POST", "blueprints", date_blueprint()), 422, "schema.properties.when")
    assert port.call("POST", "blueprints", date_blueprint("date-time")).status_code == 201
    assert_refused(port.call("PUT", "blueprints/new", date_blueprint()), 422, "schema.properties.when")
    patch = {"schema": date_blueprint()["schema"]}
    assert_refused(port.call("PATCH", "blueprints/new", patch), 422, "schema.properties.when")


def test_an_identifier_is_taken_once(port: Port) -> None:
    assert_refused(port.call("POST", "blueprints", USAGE | {"title": "Other"}), 409, "usage")
    assert port.call("GET", "blueprints/usage").json()["blueprint"]["title"] == "Usage"


def test_patch_replaces_the_top_level_keys_of_a_blueprint(port: Port) -> None:
    patched = port.call("PATCH", "blueprints/usage", {"title": "Patched"}).json()["blueprint"]
    assert (patched["title"], patched["icon"], patched["schema"]) == ("Patched", "OpenAI", USAGE["schema"])
    schema = {"properties": {"day": {"type": "string"}}}
    assert port.call("PATCH", "blueprints/usage", {"schema": schema}).json()["blueprint"]["schema"] == schema


def test_a_blueprint_with_entities_or_dependents_is_not_deleted(port: Port) -> None:
    assert_refused(port.call("DELETE", "blueprints/squad"), 409)
    port.upsert(entity())
    assert_refused(port.call("DELETE", "blueprints/usage"), 409)
    assert port.count() == 1


# Entities: what fails a whole call


def test_one_entity_outside_the_request_schema_fails_the_whole_call(port: Port) -> None:
    for bad, fragment in (
        *bodies("""
            {"properties": {"day": "2026-11-01T00:00:00Z"}} -> identifier
            {"identifier": "Laptop key (Bob)", "properties": {"day": "2026-11-01T00:00:00Z"}} -> Laptop key
            {"identifier": "a,b", "properties": {"day": "2026-11-01T00:00:00Z"}} -> a,b
            {"identifier": "a", "properties": {"day": "2026-11-01T00:00:00Z", "a b": 1}} -> 'a b'
            {"identifier": "a", "properties": {"day": "2026-11-01T00:00:00Z"}, "propertys": {}} -> propertys
            {"identifier": "a", "properties": null} -> properties
            {"identifier": "a", "properties": {"day": "2026-11-01T00:00:00Z"}, "relations": {"peers": ["a b"]}} -> 'a b'
            {"identifier": "a", "properties": {"day": "2026-11-01T00:00:00Z"},
                "relations": {"squad": {"combinator": "and", "rules": []}}}
                -> relations
        """),
        (entity("x" * 1001), "longer than 1000"),
    ):
        assert_refused(port.upsert(entity("good"), bad, entity("too")), 422, fragment)
        assert_refused(port.call("POST", "blueprints/usage/entities", bad, UPSERT), 422, fragment)
        assert port.count() == 0


def test_a_bulk_call_has_one_to_twenty_entities(port: Port) -> None:
    for body, fragment in (
        ({"entities": []}, "entities"),
        ({"entities": [entity(f"e{n}") for n in range(21)]}, "20"),
        ({"entities": [entity()], "extra": 1}, "extra"),
    ):
        assert_refused(port.call("POST", BULK, body, UPSERT), 422, fragment)
        assert port.count() == 0


# Entities: what fails only itself


def test_an_entity_that_does_not_fit_its_blueprint_fails_alone(port: Port) -> None:
    for bad, code, fragment in bodies("""
        {"identifier": "bad", "properties": {"day": "2026-11-01T00:00:00Z", "unknown": 1}} -> 422 -> "unknown"
        {"identifier": "bad"} -> 422 -> "day"
        {"identifier": "bad", "properties": {"day": null}} -> 422 -> "day"
        {"identifier": "bad", "properties": {"day": "2026-11-01T00:00:00Z", "cost": "1.5"}}
            -> 422 -> "cost" must be number
        {"identifier": "bad", "properties": {"day": "2026-11-01T00:00:00Z", "tags": {}}} -> 422 -> "tags" must be array
        {"identifier": "bad", "properties": {"day": "2026-11-01T00:00:00Z", "basis": "guessed"}} -> 422 -> "basis"
        {"identifier": "bad", "properties": {"day": "2026-11-01T00:00:00Z", "days": ["2026-11-01"]}}
            -> 422 -> format "date-time"
        {"identifier": "bad", "properties": {"day": "2026-11-01"}} -> 422 -> format "date-time"
        {"identifier": "bad", "properties": {"day": "2026-11-01T00:00:00Z"}, "relations": {"squad": ["x"]}}
            -> 422 -> "squad"
        {"identifier": "bad", "properties": {"day": "2026-11-01T00:00:00Z"}, "relations": {"peers": ["good", "none"]}}
            -> 404 -> "none"
    """):
        status = int(code)
        answer = port.upsert(entity("good"), bad, entity("too"))
        assert answer.status_code == 207
        body = answer.json()
        assert body.keys() == {"ok", "entities", "errors"}
        assert [(stored["identifier"], stored["index"]) for stored in body["entities"]] == [("good", 0), ("too", 2)]
        (error,) = body["errors"]
        assert error.keys() == {"identifier", "index", "statusCode", "error", "message"}
        assert (error["identifier"], error["index"], error["statusCode"]) == ("bad", 1, status)
        assert fragment in error["message"]
        assert port.count() == 2
        assert_refused(port.call("POST", "blueprints/usage/entities", bad, UPSERT), status, fragment)


def test_formats(port: Port) -> None:
    for key, good, bad in (
        (
            "day",
            [DAY, "2026-11-01T00:00:00.123456789Z", "2026-11-01T00:00:00+02:00"],
            ["2026-11-01", "2026-11-01T00:00:00", "2026-02-30T00:00:00Z"],
        ),
        ("link", ["https://port.io/a?b=c"], ["port.io", "ftp://x", ""]),
        ("note", ["# any *text*", ""], []),
    ):
        values = [*good, *bad]
        answer = port.upsert(*(entity(f"e{n}", **{key: value}) for n, value in enumerate(values)))
        refused = {error["index"] for error in answer.json()["errors"]}
        assert [value for n, value in enumerate(values) if n in refused] == bad


def test_an_entity_may_name_one_that_comes_earlier_in_the_call_but_none_that_comes_later(port: Port) -> None:
    bodies = [
        {**entity("a"), "relations": {"peers": ["c"]}},
        entity("c"),
        {**entity("b"), "relations": {"peers": ["c"]}},
    ]
    assert [error["index"] for error in port.upsert(*bodies).json()["errors"]] == [0]


# Entities: replace, merge


FIRST = {**entity(cost=1, model="m"), "title": "First", "team": "core", "relations": {"peers": ["a"]}}


def test_upsert_replaces_and_merge_keeps_what_is_not_named(port: Port) -> None:
    for is_merged, sent, properties, title in json.loads("""[
        [false, {"properties": {"day": "2026-11-01T00:00:00Z", "cost": 2}}, {"cost": 2}, null],
        [true, {"properties": {"day": "2026-11-01T00:00:00Z", "cost": 2}}, {"cost": 2, "model": "m"}, "First"],
        [true, {"properties": {"day": "2026-11-01T00:00:00Z", "model": null}}, {"cost": 1, "model": null}, "First"],
        [true, {"title": "Second"}, {"cost": 1, "model": "m"}, "Second"]
    ]"""):
        query = MERGE if is_merged else UPSERT
        assert port.upsert(FIRST).status_code == 200
        assert port.upsert({"identifier": "a", **sent}, query=query).status_code == 200
        stored = port.entity("a")
        assert (stored["properties"], stored["title"]) == ({"day": DAY, **properties}, title)
        assert stored["relations"] == ({"peers": ["a"]} if is_merged else {})
        assert stored["team"] == (["core"] if is_merged else [])


# Relations and deletes


def test_a_bulk_delete_outside_the_request_schema_deletes_nothing(port: Port) -> None:
    for body, query, fragment in (
        ({"entities": [f"e{n}" for n in range(101)]}, {"delete_dependents": "false"}, "100"),
        ({"entities": ["a"]}, {}, "delete_dependents"),
        ({"entities": ["a"]}, {"delete_dependents": "no"}, "delete_dependents"),
    ):
        port.upsert(entity("a"))
        assert_refused(port.call("POST", "blueprints/usage/bulk/entities/delete", body, query), 422, fragment)
        assert port.count() == 1


def test_a_bulk_delete_lists_those_it_deleted_and_deletes_none_where_one_is_missing(port: Port) -> None:
    gone = stored_entities(port, 101)[1:]
    path, query = "blueprints/usage/bulk/entities/delete", {"delete_dependents": "false"}
    assert_refused(port.call("POST", path, {"entities": [*gone[1:], "none"]}, query), 404, '"none"')
    assert port.count() == 101
    assert port.call("POST", path, {"entities": gone}, query).json() == {"ok": True, "deletedEntities": gone}
    assert port.count() == 1


def test_nothing_is_deleted_while_one_has_dependents_unless_they_may_go_too(port: Port) -> None:
    path, body = "blueprints/squad/bulk/entities/delete", {"entities": ["free", "core"]}
    port.upsert({"identifier": "core"}, {"identifier": "free"}, blueprint="squad")
    port.upsert({**entity("a"), "relations": {"squad": "core"}}, {**entity("b"), "relations": {"peers": ["a"]}})
    assert_refused(port.call("POST", path, body, {"delete_dependents": "false"}), 409, "Nothing was deleted")
    assert (port.count("squad"), port.count()) == (2, 2)
    assert port.call("POST", path, body, {"delete_dependents": "true"}).status_code == 200
    assert (port.count("squad"), port.count()) == (0, 0)


# Search


def test_a_query_outside_the_schema_is_refused(port: Port) -> None:
    for query, fragment in bodies("""
        {"combinator": "xor", "rules": []} -> combinator
        {"combinator": "and", "rules": [{"property": "a", "operator": "isEmpty", "x": 1}]} -> `x`
        {"combinator": "and", "rules": [{"property": "$none", "operator": "isEmpty"}]} -> $none
        {"combinator": "and", "rules": [{"property": "a", "operator": "like", "value": "x"}]} -> like
        {"combinator": "and", "rules": [{"property": "a", "operator": "in", "value": [1]}]} -> 'in'
        {"combinator": "and", "rules": [{"property": "a",
            "operator": "between", "value": {"from": "2026-11-01T00:00:00Z", "to": "2026-11-02"}}]}
            -> between
    """):
        assert_refused(port.call("POST", "entities/search", query), 422, fragment)
        assert_refused(port.call("POST", "blueprints/usage/entities/search", {"query": query}), 422, fragment)


def stored_entities(port: Port, count: int) -> list[str]:
    identifiers = [f"e{n:04}" for n in range(count)]
    for start in range(0, count, 20):
        port.upsert(*(entity(identifier) for identifier in identifiers[start : start + 20]))
    return identifiers


def test_pages_are_followed_by_their_cursor(port: Port) -> None:
    for limit, sizes in (
        (None, [200, 50]),
        (125, [125, 125]),
    ):
        identifiers = stored_entities(port, 250)
        body: dict[str, Any] = {} if limit is None else {"limit": limit}
        pages: list[list[str]] = []
        while True:
            page = port.call("POST", "blueprints/usage/entities/search", body).json()
            pages.append([found["identifier"] for found in page["entities"]])
            if "next" not in page:
                break
            body["from"] = page["next"]
        assert [len(page) for page in pages] == sizes
        assert [identifier for page in pages for identifier in page] == identifiers
