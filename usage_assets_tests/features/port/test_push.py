"""The sync against the emulated Port: whatever goes wrong on the way, Port ends up holding exactly our entities."""

from collections.abc import Callable
from concurrent.futures import wait
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

import pytest

from usage_assets.features.port.catalog import sync
from usage_assets.features.port.catalog.client import MAX_BODY_BYTES, PortClient, PortError
from usage_assets.features.port.catalog.sync import Entity, Failure, Value
from usage_assets_tests.features.port.conftest import Catalog, KilledError
from usage_assets_tests.fixtures import NOW

COST, DAILY = "claude_cost_record", "openai_daily_usage"
BULK = f"POST /port/v1/blueprints/{COST}/entities/bulk"
DELETE = f"POST /port/v1/blueprints/{COST}/bulk/entities/delete"
BLUEPRINT = f"GET /port/v1/blueprints/{COST}"
FIRST = date(2026, 1, 1)


def costs(number: int, amount: Decimal = Decimal("1.25"), **properties: Value) -> list[Entity]:
    """One cost record for each of so many days."""
    return [cost(FIRST + timedelta(days=n), amount, **properties) for n in range(number)]


def cost(day: date, amount: Decimal = Decimal("1.25"), **properties: Value) -> Entity:
    """The cost record of a day."""
    known: dict[str, Value] = {"record_date": f"{day}T00:00:00Z", "amount": amount, "currency": "USD"}
    return Entity(COST, f"{day}-cost", f"Claude Cost - {day}", known | properties, day)


def daily_usage(number: int, cost: Decimal = Decimal("0.5")) -> list[Entity]:
    """OpenAI's usage of each of so many days. Its blueprint has a date, whose format Port refuses at first."""
    days = [FIRST + timedelta(days=n) for n in range(number)]
    known: dict[str, Value] = {"total_cost": cost}
    return [Entity(DAILY, f"daily-{day}", f"Usage {day}", known | {"date": str(day)}, day) for day in days]


def expected(entities: list[Entity], blueprint: str = COST) -> dict[str, object]:
    """What Port must answer when it holds exactly these."""
    return {entity.identifier: entity.properties for entity in entities if entity.blueprint == blueprint}


def is_exactly(catalog: Catalog, entities: list[Entity]) -> bool:
    """Whether Port and the ledger hold these entities and no others, with these properties."""
    acknowledged = {line.identifier: line.content_hash for line in catalog.ledger.lines.values()}
    hashes = {entity.identifier: entity.content_hash() for entity in entities}
    blueprints = {COST, *(entity.blueprint for entity in entities)}
    in_port = all(catalog.stored(blueprint) == expected(entities, blueprint) for blueprint in blueprints)
    return in_port and acknowledged == hashes


def without(catalog: Catalog, name: str) -> None:
    """Let the cost blueprint have no such property, as before an upgrade, or after somebody deleted it."""
    schema = catalog.as_user("GET", f"/blueprints/{COST}")["blueprint"]["schema"]
    properties = {key: declared for key, declared in schema["properties"].items() if key != name}
    catalog.as_user("PATCH", f"/blueprints/{COST}", {"schema": schema | {"properties": properties}})


def test_after_an_upgrade_that_adds_a_property_the_blueprint_is_mended_before_anything_is_sent(
    catalog: Catalog,
) -> None:
    before = [
        replace(entity, properties={key: value for key, value in entity.properties.items() if key != "currency"})
        for entity in costs(3)
    ]
    catalog.push(before)
    without(catalog, "currency")
    catalog.forget_requests()
    assert catalog.push(costs(3)).upserted == 3
    assert (catalog.asked(BLUEPRINT), catalog.asked(BULK)) == ([200], [200])
    assert is_exactly(catalog, costs(3))


def test_a_property_that_somebody_deleted_is_added_once_and_what_was_refused_is_sent_again(catalog: Catalog) -> None:
    catalog.push(costs(41, currency=None))
    without(catalog, "currency")
    catalog.forget_requests()
    report = catalog.push(costs(41))
    assert (report.upserted, report.failures) == (41, [])
    assert len(catalog.asked(BLUEPRINT)) == len(catalog.asked("PATCH")) == 1
    assert is_exactly(catalog, costs(41))


def test_a_body_is_at_most_one_mebibyte_counted_in_bytes(catalog: Catalog) -> None:
    wide = "é" * (MAX_BODY_BYTES // 40)  # 20 of them are 1 MiB in bytes and half of that in characters
    report = catalog.push(costs(20, currency=wide))
    assert report.upserted == 20
    assert catalog.asked(BULK) == [200, 200]


def test_an_answer_that_leaves_an_entity_out_does_not_acknowledge_it(catalog: Catalog) -> None:
    some = {"ok": True, "entities": [{"created": True, "identifier": "2026-01-01-cost", "index": 0}], "errors": []}
    catalog.sandbox.faults({"route": BULK, "calls": [1], "fault": "replace", "body": some})
    report = catalog.push(costs(2))
    assert report.failures == [Failure(COST, "2026-01-02-cost", "Port's answer does not mention it", date(2026, 1, 2))]


def test_an_identifier_that_port_refuses_does_not_take_its_batch_along(catalog: Catalog) -> None:
    bad = replace(cost(FIRST + timedelta(days=40)), identifier="not valid (at all)")
    report = catalog.push([*costs(19), bad])
    assert report.upserted == 19
    [failure] = report.failures
    assert failure.identifier == "not valid (at all)"
    assert "422" in failure.reason
    assert len(catalog.asked(BULK)) <= 11
    assert catalog.stored(COST) == expected(costs(19))


def test_a_refused_batch_is_halved_until_it_fits(catalog: Catalog) -> None:
    too_large = {"ok": False, "error": "payload_too_large", "message": "limit is 1MiB"}
    catalog.sandbox.refuse(BULK, 413, calls=[1, 2], body=too_large)
    report = catalog.push(costs(20))
    assert catalog.asked(BULK) == [413, 413, 200, 200, 200]
    assert report.failures == []
    assert is_exactly(catalog, costs(20))


def test_a_token_that_runs_out_in_the_middle_is_renewed(catalog: Catalog) -> None:
    catalog.push(costs(5))
    catalog.forget_requests()
    catalog.sandbox.control("POST", "clock", {"now": "2027-11-20T08:00:00Z"})
    assert catalog.push(costs(165)).upserted == 160
    assert 401 in catalog.asked()
    assert len(catalog.asked("auth/access_token")) == 1, "also where several calls are refused at once"
    assert is_exactly(catalog, costs(165))


def test_a_token_that_is_refused_twice_ends_the_push(catalog: Catalog) -> None:
    catalog.push(costs(1))
    catalog.sandbox.refuse(BULK, 401)
    with pytest.raises(PortError, match=r"401.*check PORT_CLIENT_ID and PORT_CLIENT_SECRET"):
        catalog.push(costs(2))
    assert catalog.asked(BULK)[1:] == [401, 401]


def test_another_server_than_port_is_said_with_the_variable_that_names_it(
    catalog: Catalog, new_client: Callable[..., PortClient]
) -> None:
    for fault, said in (
        ({"fault": "html"}, r"access_token cannot be read: text/html.*check PORT_BASE_URL"),
        ({"fault": "status", "status": 404}, r"404 to POST .*check PORT_BASE_URL"),
    ):
        catalog.sandbox.faults({"route": "POST /port/v1/auth/access_token", **fault})
        with pytest.raises(PortError, match=said):
            new_client(attempts=1).authenticate()
        catalog.sandbox.control("DELETE", "faults")


def first_push(_catalog: Catalog) -> list[Entity]:
    """Port is empty: blueprints are read and created."""
    return [*costs(25), *daily_usage(3)]


def restating_push(catalog: Catalog) -> list[Entity]:
    """Port has more than is wanted now, and all that is wanted has changed."""
    catalog.push([*costs(30), *daily_usage(3)])
    return [*costs(25, Decimal(9)), *daily_usage(2, Decimal(9))]


ONCE = {
    "401": {"fault": "status", "status": 401},
    "429": {"fault": "status", "status": 429},
    "413": {"fault": "status", "status": 413},
    "reset": {"fault": "reset"},
    "timeout": {"fault": "delay", "seconds": 0.3},
    "answer lost": {"fault": "truncate"},
}


@pytest.mark.parametrize(
    ("begin", "calls", "attempts"), [(first_push, 8, 1), (restating_push, 6, 1), (restating_push, 6, 3)]
)
@pytest.mark.parametrize("fault", ONCE.values(), ids=ONCE)
def test_whichever_call_is_refused_once_port_ends_up_with_the_entities(
    catalog: Catalog,
    new_client: Callable[..., PortClient],
    fault: dict[str, object],
    begin: Callable[[Catalog], list[Entity]],
    calls: int,
    attempts: int,
) -> None:
    """Each call in turn: after the same push, or after the next one where that one failed and said so."""
    for number in count(1):
        catalog.sandbox.control("POST", "reset", {"now": NOW.isoformat()})
        catalog = Catalog(catalog.sandbox, new_client())
        wanted = begin(catalog)
        catalog.sandbox.faults({"route": "* /port/v1", "calls": [number], **fault})
        is_told = is_pushed(catalog, wanted, new_client(attempts=attempts, read_timeout=0.15, concurrency=1))
        [told] = catalog.sandbox.control("GET", "faults")["faults"]
        catalog.sandbox.mend()
        assert is_told or is_pushed(catalog, wanted, catalog.client)
        assert is_exactly(catalog, wanted)
        if not told["fired"]:
            assert number > calls
            return


def is_pushed(catalog: Catalog, wanted: list[Entity], client: PortClient) -> bool:
    """Push; return whether the push says that all is well."""
    try:
        return not catalog.push(wanted, client).failures
    except PortError:
        return False


def test_one_bad_entity_is_reported_and_the_others_stand(catalog: Catalog) -> None:
    *others, good = wanted = restating_push(catalog)
    bad = replace(good, properties=dict.fromkeys(good.properties, 7))
    catalog.forget_requests()
    report = catalog.push([*others, bad])
    assert catalog.asked("entities/bulk").count(207) == 1
    assert [(failure.blueprint, failure.identifier) for failure in report.failures] == [(bad.blueprint, bad.identifier)]
    assert report.upserted == len(others)
    assert catalog.push(wanted).upserted == 1
    assert is_exactly(catalog, wanted)


def test_what_was_answered_before_a_push_broke_off_is_not_sent_again(
    catalog: Catalog, new_client: Callable[..., PortClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "wait", lambda calls, **_: wait(calls))  # whoever acknowledges comes late
    catalog.sandbox.refuse(BULK, 403, calls=[3])
    with pytest.raises(PortError, match="403"):
        catalog.push(costs(200), new_client(concurrency=1))
    assert catalog.asked(BULK) == [200, 200, 403], "nothing more is sent"
    catalog.sandbox.mend()
    assert catalog.push(costs(200)).upserted == 160


def test_a_process_that_dies_at_any_write_loses_nothing(catalog: Catalog) -> None:
    wanted: list[Entity] = []
    for died_after in range(8):
        wanted = [*costs(70, Decimal(died_after)), *costs(140, Decimal("7.5"))[70 + died_after :]]
        # three writes there are at least: the mark, what was taken (at once where the answers are), what was deleted
        catalog.ledger.writes_left = died_after % 3
        with pytest.raises(KilledError):
            catalog.push(wanted)
        catalog.ledger.writes_left = None
        catalog.push(wanted)
        assert is_exactly(catalog, wanted)


def test_nothing_is_deleted_when_the_upserts_fail(catalog: Catalog) -> None:
    catalog.push(costs(2))
    catalog.sandbox.refuse(BULK, 403)
    with pytest.raises(PortError):
        catalog.push(costs(3)[2:])
    assert catalog.asked(DELETE) == []


# Relations to entities of the users' own


SEARCH_SERVICES = "POST /port/v1/blueprints/service/entities/search"


def of_services(*targets: str | None) -> list[Entity]:
    """Costs of as many days, each of a service."""
    return [
        replace(each, relations={"project": target}, foreign={"project": "service"})
        for each, target in zip(costs(len(targets)), targets, strict=True)
    ]


def test_what_port_has_is_related_to_and_what_it_does_not_have_costs_no_record(catalog: Catalog) -> None:
    catalog.add_users_blueprint("service", "billing")
    catalog.forget_requests()
    wanted = of_services("billing", "unborn", None, "billing")
    report = catalog.push(wanted)
    assert (report.upserted, report.failures, report.missing) == (4, [], {("service", "unborn")})
    related = [entity["relations"].get("project") for entity in catalog.client.search(COST)]
    assert related == ["billing", None, None, "billing"]
    assert catalog.client.existing("service", ["billing", "unborn"]) == {"billing"}, "nothing of theirs is made"
    assert is_exactly(catalog, wanted), "the ledger has what should be there"
    assert len(catalog.asked(SEARCH_SERVICES)) == 2, "one of the push, one of this test"


def test_where_port_cannot_say_what_it_has_nothing_is_sent(catalog: Catalog) -> None:
    catalog.add_users_blueprint("service", "billing")
    catalog.sandbox.refuse(SEARCH_SERVICES, 403)
    with pytest.raises(PortError, match="403"):
        catalog.push(of_services("billing"))
    assert catalog.stored() == {}
    assert catalog.ledger.lines == {}
