"""What people do to our entities is told apart from what is theirs, and a push repairs it."""

from collections.abc import Sequence
from decimal import Decimal

from usage_assets.features.port.catalog.reconcile import Findings, compare, settled
from usage_assets.features.port.catalog.sync import UNKNOWN, Entity, Targets
from usage_assets_tests.features.port.conftest import Catalog
from usage_assets_tests.features.port.test_push import COST, costs, is_exactly
from usage_assets_tests.port_user import PortUser

FIRST, SECOND = "2026-01-01-cost", "2026-01-02-cost"


def findings(catalog: Catalog, entities: Sequence[Entity], blueprint: str = COST) -> Findings:
    """Compare the catalog with what it should hold."""
    lines = catalog.ledger.lines.values()
    known = {line.identifier for line in lines if line.blueprint == blueprint}
    return compare(settled(entities, lines, Targets(catalog.client)), catalog.client.search(blueprint), known)


def found(findings: Findings) -> tuple[list[str], list[str], set[str]]:
    """Identifiers that were deleted, edited, unknown."""
    names = [sorted(line.identifier for line in lines) for lines in (findings.deleted, findings.edited)]
    return names[0], names[1], findings.unknown


def repair(catalog: Catalog, entities: Sequence[Entity]) -> Findings:
    """Mark what people did as unknown, and push."""
    of_people = findings(catalog, entities)
    catalog.ledger.mark([*of_people.deleted, *of_people.edited], UNKNOWN)
    catalog.push(entities)
    return of_people


def test_edited_entities_are_found_and_repaired(catalog: Catalog, user: PortUser) -> None:
    catalog.push(costs(3))
    before = user.entity(COST, FIRST)
    edited: list[dict[str, object]] = [
        {"amount": 9},
        {"amount": None},
        {"currency": "EUR"},
        {"record_date": "2026-01-01T00:00:01Z"},
    ]
    title: dict[str, object] = {"title": "Somebody's title"}
    for changes in [title] + [{"properties": properties} for properties in edited]:
        user.edit(COST, FIRST, changes)
        assert found(repair(catalog, costs(3))) == ([], [FIRST], set()), changes
        after = user.entity(COST, FIRST)
        assert (after["title"], after["properties"]) == (before["title"], before["properties"]), changes
        assert is_exactly(catalog, costs(3)), changes


def test_entities_of_others_are_left_alone_and_deleted_ones_come_back(catalog: Catalog, user: PortUser) -> None:
    catalog.push(costs(2))
    theirs = {"record_date": "2026-01-09T00:00:00Z", "amount": 7, "currency": "USD"}
    user.create(COST, "theirs", theirs, title="Theirs")
    before = user.entity(COST, "theirs")
    user.delete(COST, SECOND)
    assert found(repair(catalog, costs(2))) == ([SECOND], [], {"theirs"})
    assert user.entity(COST, "theirs") == before
    assert {*catalog.stored()} == {FIRST, SECOND, "theirs"}
    assert found(findings(catalog, costs(2))) == ([], [], {"theirs"})


def test_a_pending_change_is_not_an_edit(catalog: Catalog) -> None:
    catalog.push(costs(3))
    restated = [*costs(1, Decimal(2)), *costs(4)[1:]]
    assert found(findings(catalog, restated)) == ([], [], set())


NUMBERS = (
    ("0.1234567890123456789012", "0.12345678901234568", False),
    ("0.1234567890123456789012", "0.12345678901234566", True),
    ("12345678901234567891", "12345678901234567000", False),
    ("12", "12.0", False),
    ("0", "-0.0", False),
    ("1.10", "1.1", False),
    ("1.1", "1.1000000000000003", True),
)
TIMES = (
    ("2026-01-01T00:00:00.000Z", False),
    ("2026-01-01T01:00:00+01:00", False),
    ("2026-01-01T00:00:01Z", True),
    ("2026-01-01", True),
    ("Tuesday", True),
)


def is_edited(catalog: Catalog, entities: Sequence[Entity], **shown: object) -> bool:
    """Whether what Port shows of entities counts as edited."""
    spelled = [{**entity, "properties": entity["properties"] | shown} for entity in catalog.client.search(COST)]
    lines = catalog.ledger.lines.values()
    return bool(compare(settled(entities, lines, Targets(catalog.client)), spelled, {FIRST}).edited)


def test_numbers_differ_where_their_doubles_do_and_times_where_the_moments_do(catalog: Catalog) -> None:
    for sent, shown, edited in NUMBERS:
        entities = costs(1, Decimal(sent))
        catalog.push(entities)
        amount = int(shown) if shown.isdigit() else Decimal(shown)
        assert is_edited(catalog, entities, amount=amount) is edited, (sent, shown)
    for shown, edited in TIMES:
        assert is_edited(catalog, entities, record_date=shown) is edited, shown
