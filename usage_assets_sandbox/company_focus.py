"""What the company uses of a cloud on a day, as its bill says: models on Bedrock, and services that are no AI.

The product's list of AI services is not known here: BEDROCK says which of these charges are for AI.
"""

from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal, localcontext

from usage_assets_sandbox.books import Book, Books, Unit, computed
from usage_assets_sandbox.company import EXACT, Company, DayRows, Row, Value, as_reported

BEDROCK = ("Amazon Bedrock", "Claude Opus 4.8 (Amazon Bedrock Edition)")
DIMENSIONS = ("account", "service", "region", "meter", "unit", "late")
ACCOUNTS = {"111100001111": "research", "111100002222": "checkout"}
REGIONS = {"us-east-1": "USE1", "eu-central-1": "EUC1"}
# Service, name of the model in its meters, dollars per 1,000 tokens of input, output, cache reads and cache writes.
MODELS = (
    ("Amazon Bedrock", "Claude4.5Sonnet", ("0.003", "0.015", "0.0003", "0.00375")),
    ("Amazon Bedrock", "Nova2.0Lite", ("0.0003", "0.0025", "0.000075", "0.0003")),
    (BEDROCK[1], "anthropic.claude-opus-4-8-mantle", ("0.005", "0.025", "0.0005", "0.00625")),
)
METERS = ("input-tokens", "output-tokens", "cache-read-input-token-count", "cache-write-input-token-count")
SHARES = (1000, 120, 3000, 80)  # of each meter, about
OTHERS = (("Amazon EC2", "BoxUsage:g5.xlarge", "Hours", "1.006"), ("Amazon OpenSearch Service", "OCU", "Hours", "0.24"))
LATE = 13  # one charge in so many is found only after the month is closed


def focus_day(company: Company, day: date) -> DayRows:
    """The charges of a day, unique in their dimensions."""
    return {"charges": list(_charges(company, day))}


def _charges(company: Company, day: date) -> Iterator[Row]:
    dice = company.dice("cloud", day)
    for account in ACCOUNTS:
        for region, prefix in REGIONS.items():
            for service, model, prices in MODELS:
                for meter, share, price in zip(METERS, SHARES, prices, strict=True):
                    quantity = Decimal(int(dice.uniform(0.5, 1.5) * share * company.pace(day) * 1000)).scaleb(-3)
                    with localcontext(EXACT):
                        cost = as_reported(quantity * Decimal(price), dice)
                    yield _charge(
                        account, service, region, f"{prefix}-{model}-{meter}", "1K tokens", quantity, cost
                    ) | {"late": dice.randrange(LATE) == 0}
            for service, meter, unit, price in OTHERS:
                yield _charge(account, service, region, f"{prefix}-{meter}", unit, Decimal(24), 24 * Decimal(price))


def _charge(account: str, service: str, region: str, meter: str, unit: str, quantity: Decimal, cost: Decimal) -> Row:
    return {
        "account": account,
        "service": service,
        "region": region,
        "meter": meter,
        "unit": unit,
        "late": False,
        "quantity": quantity,
        "cost": cost,
    }


def _of_cloud(measure: Callable[[Row], Value], *, is_ai: bool) -> Callable[[Row], Value]:
    return lambda row: measure(row) if (row["service"] in BEDROCK) is is_ai else None


BOOKS = Books(
    focus_day,
    {
        "charges": Book(
            DIMENSIONS,
            {
                "usd": Unit(_of_cloud(lambda row: row["cost"], is_ai=True), "billed_usd"),
                **computed(
                    tokens=_of_cloud(lambda row: int(row["quantity"] * 1000), is_ai=True),
                    left_out_usd=_of_cloud(lambda row: row["cost"], is_ai=False),
                    left_out_rows=_of_cloud(lambda _: 1, is_ai=False),
                ),
            },
            lambda _, n: {"account": f"1111{n:08}"},
        ),
    },
)
