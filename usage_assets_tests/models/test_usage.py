"""What was used, in one view: every counter of every report once, and none that another report counts, too."""

from dataclasses import replace

from usage_assets.config.accounting import Accounting, ConfiguredConnectionRow
from usage_assets.models.costs import VIEWS
from usage_assets.providers.anthropic.reports import UsageMessages
from usage_assets.providers.chatgpt.analytics import CodexUsage
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.usage import (
    UsageAudioSpeeches,
    UsageAudioTranscriptions,
    UsageCodeInterpreterSessions,
    UsageCompletions,
    UsageDecisions,
    UsageEmbeddings,
    UsageImages,
    UsageModerations,
    UsageVectorStores,
    UsageWebSearchCalls,
)
from usage_assets.providers.openai_legacy.billing import BillingUsage, Usage
from usage_assets.warehouse.views import make_views
from usage_assets_tests.models.days import Days, raw

TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")
COUNTED = ", ".join(
    f"sum({name})::bigint as {name}" for name in ("requests", *TOKENS, "images", "seconds", "usage_bytes", "sessions")
)
SUMS = f"select provider, {COUNTED} from costs.usage group by provider"


def used(days: Days) -> dict[str, dict[str, int]]:
    """Provider -> its counters; those that it does not have are left out."""
    with days.warehouse.transaction() as database:
        database.execute("create schema if not exists costs")
        make_views(database, VIEWS)
    return {
        row.pop("provider"): {name: value for name, value in row.items() if value is not None}
        for row in days.read(SUMS)
    }


def test_every_report_is_counted_once(days: Days) -> None:
    for row in (UsageCompletions, UsageDecisions):
        days.fetched(row, raw(row, num_model_requests=2, input_tokens=100, input_cached_tokens=40, output_tokens=7))
    for report in (UsageEmbeddings, UsageModerations):
        days.fetched(report, raw(report, num_model_requests=3, input_tokens=50))
    days.fetched(UsageImages, raw(UsageImages, num_model_requests=1, images=4))
    days.fetched(UsageAudioSpeeches, raw(UsageAudioSpeeches, num_model_requests=1, characters=9))
    days.fetched(UsageAudioTranscriptions, raw(UsageAudioTranscriptions, num_model_requests=1, seconds=11))
    days.fetched(UsageWebSearchCalls, raw(UsageWebSearchCalls, num_model_requests=99))
    days.fetched(UsageVectorStores, raw(UsageVectorStores, usage_bytes=2**40))
    days.fetched(UsageCodeInterpreterSessions, raw(UsageCodeInterpreterSessions, num_sessions=5))
    days.fetched(UsageMessages, raw(UsageMessages, uncached_input_tokens=1))
    users = [raw(CodexUsage, text_total_tokens=10, text_output_tokens=4, user_id=name) for name in ("a", "b")]
    whole = raw(CodexUsage, cut="workspace", user_id=None, text_total_tokens=21, text_output_tokens=8)
    days.fetched(CodexUsage, *users, whole)
    assert used(days) == {
        "openai": {
            "requests": 2 * 2 + 2 * 3 + 3,
            "input_tokens": 300,
            "cached_input_tokens": 80,
            "output_tokens": 14,
            "images": 4,
            "seconds": 11,
            "usage_bytes": 2**40,
            "sessions": 5,
        },
        "anthropic": {"input_tokens": 1 + 3 + 4 + 5, "cached_input_tokens": 3, "output_tokens": 2},
        "chatgpt": {"input_tokens": 12, "output_tokens": 8},
    }


def test_old_endpoints_count_only_where_no_other_connection_bills_the_day(days: Days) -> None:
    providers = ("openai", "openai_legacy")
    known = [
        ConfiguredConnectionRow(connection=name, provider=name, people="ids", people_ids="id") for name in providers
    ]
    days = replace(days, accounting=Accounting(connections=known))
    days.fetched(Usage, raw(Usage))
    days.spent(BillingUsage, raw(BillingUsage, total_usage_cents=100))
    assert used(days)["openai_legacy"] == {"requests": 1, "input_tokens": 10, "output_tokens": 5}
    days.spent(Costs, raw(Costs))
    days.derive("openai_legacy_billing_usage")
    assert used(days) == {}
