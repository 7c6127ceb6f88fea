"""Recorded bodies of these providers become rows: the official ones with exactly these values."""

from decimal import Decimal

import msgspec

from usage_assets_tests.models.days import lines
from usage_assets_tests.providers.bodies import ASKED_FOR, fields_of, known, read


def test_ai_credits_keep_three_amounts_and_three_quantities() -> None:
    first, second = read("github_copilot/ai_credits/composed_two_models.json")
    assert fields_of(first) == lines(f"""
        discount_amount    3
        discount_quantity  300
        gross_amount       8.125
        gross_quantity     812.5
        model              Claude Sonnet 4.5
        net_amount         5.125
        net_quantity       512.5
        price_per_unit     0.01
        product            Copilot
        sku                Copilot AI Credits
        unit               ai-credits
        unit_type          ai-credits
        usage_date         {ASKED_FOR.first}
    """)
    assert second["net_amount"] == 0


def test_all_products_are_kept_and_a_day_may_be_a_moment() -> None:
    rows = {row["product"]: row for row in read("github_copilot/billing_usage/composed_seats_and_other_products.json")}
    assert rows["Copilot"]["quantity"] == Decimal("0.466666667")
    assert rows["Actions"]["repository"] == "acme/checkout"


def test_a_person_of_a_gateway_is_known_by_a_name_and_a_tool_has_no_model() -> None:
    rows = [known(row) for row in read("litellm/user_activity/composed_person_and_tool.json")]
    cuts = {row["cut"]: row for row in rows if row.get("custom_llm_provider") != "unknown"}
    assert {cut: row["spend"] for cut, row in cuts.items()} == {
        "total": Decimal("0.0163"),
        "model": Decimal("0.0123"),
        "provider": Decimal("0.0123"),
        "user": Decimal("0.0163"),
    }
    assert cuts["user"]["user_id"] == "anna@corp.example"
    assert (cuts["model"]["model"], cuts["model"]["api_key"]) == ("gpt-5.4-mini", "hash1")
    assert cuts["model"]["api_key_alias"] == "anna@corp.example's laptop"
    assert "other_fields" not in cuts["user"], "the address that is sent besides is not kept"


def test_own_keys_are_beside_what_a_router_bills_and_a_cache_may_hold_more_than_was_read() -> None:
    [row] = map(known, read("openrouter/activity/composed_own_key_and_cache.json"))
    assert (row["usage"], row["byok_usage_inference"]) == (Decimal("0.015"), Decimal("0.3"))
    assert row["cached_tokens"] > row["prompt_tokens"]
    [row] = read("openrouter/activity/composed_unknown_fields.json")
    assert msgspec.json.decode(row["other_fields"]) == {"answer.cursor": None, "upstream_region": "eu"}
    assert row["cached_tokens"] is None
