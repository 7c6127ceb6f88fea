"""Our entities beside those of Port's published mapping, which is run here with jq over a whole answer."""

from pathlib import Path

import jq

from usage_assets.features.port.ledger import PortLedger
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import UsageCompletions
from usage_assets.warehouse.slices import Slice
from usage_assets_mapping.reading import read
from usage_assets_tests.models.conftest import days, warehouse
from usage_assets_tests.models.days import DAY, DERIVED, Days, raw

__all__ = ["days", "warehouse"]

MAPPING = Path(__file__).parent / "official/codex.yml"
DESCRIBED = {"timestamp": str(DAY), "total_requests": 5, "total_tokens": 1500, "total_usage": 625}
"""The answer that the published mapping is about, which no endpoint gives: a day with its totals."""


def test_openai_days_keep_identifier_properties_and_meaning(days: Days) -> None:
    days.fetched(Costs, raw(Costs, amount_value="6.25", amount_currency="usd"))
    used = {"num_model_requests": 5, "input_tokens": 1000, "input_cached_tokens": 800, "output_tokens": 500}
    days.fetched(UsageCompletions, raw(UsageCompletions, **used))
    days.derive("openai_daily_usage")
    derived = DERIVED["openai_daily_usage"]
    [[ours], _] = PortLedger(days.warehouse, "account", Slice("openai", DAY, DAY), [derived]).read()

    published, _ = read(MAPPING, requote=True).resources
    expressions = {"blueprint": published.blueprint, "identifier": published.identifier, "title": published.title}
    theirs, properties = (
        {name: jq.compile(str(each)).input_value(DESCRIBED).first() for name, each in made.items()}
        for made in (expressions, published.properties)
    )
    assert {"blueprint": derived.name, "identifier": ours.identifier, "title": ours.title} == theirs
    assert dict(ours.properties) == properties
