"""An edit in Port is told from what Port spells otherwise and from what is still to be sent."""

from decimal import Decimal

from usage_assets.features.port.catalog.reconcile import Findings, compare, settled
from usage_assets.features.port.catalog.sync import Entity, Targets
from usage_assets_tests.features.port.conftest import Catalog
from usage_assets_tests.features.port.test_push import COST, costs
from usage_assets_tests.models.days import lines

FIRST = "2026-01-01-cost"


def findings(catalog: Catalog, entities: list[Entity], **shown: object) -> Findings:
    """Compare what the catalog should hold with what Port shows, where these properties are shown otherwise."""
    held = catalog.ledger.lines.values()
    known = {line.identifier for line in held}
    spelled = [{**entity, "properties": entity["properties"] | shown} for entity in catalog.client.search(COST)]
    return compare(settled(entities, held, Targets(catalog.client)), spelled, known)


def test_a_pending_change_is_not_an_edit(catalog: Catalog) -> None:
    catalog.push(costs(3))
    restated = [*costs(1, Decimal(2)), *costs(4)[1:]]
    assert findings(catalog, restated) == Findings()


def test_numbers_differ_where_their_doubles_do_and_times_where_the_moments_do(catalog: Catalog) -> None:
    for sent, shown, edited in lines("""
        0.1234567890123456789012  0.12345678901234568   no
        0.1234567890123456789012  0.12345678901234566   yes
        12345678901234567891      12345678901234567000  no
        12                        12.0                  no
        0                         -0.0                  no
        1.10                      1.1                   no
        1.1                       1.1000000000000003    yes
    """):
        entities = costs(1, Decimal(sent))
        catalog.push(entities)
        amount = int(shown) if shown.isdigit() else Decimal(shown)
        assert bool(findings(catalog, entities, amount=amount).edited) is (edited == "yes"), (sent, shown)
    for shown, edited in lines("""
        2026-01-01T00:00:00.000Z   no
        2026-01-01T01:00:00+01:00  no
        2026-01-01T00:00:01Z       yes
        2026-01-01                 yes
        Tuesday                    yes
    """):
        assert bool(findings(catalog, entities, record_date=shown).edited) is (edited == "yes"), shown
    assert findings(catalog, entities, amount=None).edited
    assert findings(catalog, entities, currency="EUR").edited
