"""What connections files and lookups state, for tests of what is computed with it."""

import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel

from usage_assets.config.accounting import (
    Accounting,
    ConfiguredConnectionRow,
    CreditRate,
    ExchangeRate,
    Person,
    person_rows,
)
from usage_assets.core.people import People, Policy
from usage_assets.models.model import money_seed
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.migrate import write_seed
from usage_assets_tests.fixtures import execute
from usage_assets_tests.models.days import DAY, Days, lines


def listed(days: Days, table: str, **values: Any) -> None:
    """An item of a lookup."""
    values = {"connection": table.partition(".")[0], **values}
    execute(
        days.warehouse,
        f"insert into {table} ({', '.join(values)}, valid_from) "
        f"values ({', '.join(f'${name}' for name in values)}, now())",
        values,
    )


Stated = TypeVar("Stated", bound=BaseModel)


def entries(kind: type[Stated], text: str) -> list[Stated]:
    """Entries of a connections file from a table whose first line names the fields: ``.`` is not stated."""

    def value(cell: str) -> Any:
        """A number or a day, as TOML has them, or else a text."""
        with suppress(tomllib.TOMLDecodeError):
            return tomllib.loads(f"value = {cell}", parse_float=Decimal)["value"]
        return cell

    head, *rows = lines(text)
    stated = ([(name, value(cell)) for name, cell in zip(head, cells, strict=True) if cell != "."] for cells in rows)
    return [kind.model_validate(dict(each)) for each in stated]


FOUR_CENTS = CreditRate(workspace="ws", usd_per_credit=Decimal("0.04"), valid_from=DAY, source="contract 7")
EURO = ExchangeRate(currency="EUR", usd=Decimal("1.0842"), valid_from=DAY, valid_until=DAY, source="ECB")


def stating(days: Days, **entries: Any) -> Days:
    """The same days under a connections file that states this."""
    return replace(days, accounting=Accounting(**entries))


def state(days: Days, **entries: Any) -> Days:
    """Store what a connections file states, as each run does that computes costs."""
    days = stating(days, **entries)
    with days.warehouse.transaction() as database:
        write_seed(database, money_seed(days.accounting, datetime.now(UTC)))
    return days


KEY = "a long random text"
CONNECTIONS = ("anthropic", "chatgpt", "cursor", "github_copilot", "litellm", "openai")


def known(*entries: Person, policy: Policy = "ids", **policies: Policy) -> Mapping[str, Any]:
    """What is stored of a connections file with these entries; connections have one policy, but those named."""
    of = {**dict.fromkeys(CONNECTIONS, policy), **policies}
    return {
        "people": person_rows(entries, of, lambda each: People(each, KEY)),
        "connections": [
            ConfiguredConnectionRow(
                connection=name,
                provider=(provider := name if name in PROVIDERS else name.partition("_")[0]),
                people=each,
                people_ids=PROVIDERS[provider].people_ids,
            )
            for name, each in sorted(of.items())
        ],
    }
