"""What must stand in every table and view, computed from the sandbox's books in Python, by day and connection.

An arithmetic of its own: decimals and integers here, SQL in the product. It knows the product's declarations (what a
table's columns are), and none of its queries. What is told of a day when: ``Keeper``.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from usage_assets.core.days import DAY
from usage_assets.core.schema import declared
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.tables import Table
from usage_assets_report_tests.end_to_end import audit_sources
from usage_assets_report_tests.end_to_end.audit_models import identified
from usage_assets_report_tests.end_to_end.audit_sums import (
    ALLOCATED,
    DAILY,
    Entities,
    OneDay,
    Row,
    added,
    by,
    cost,
    grouped,
    midnight,
    path,
    picked,
    sums,
    times,
    total,
)
from usage_assets_sandbox.company import EXACT
from usage_assets_sandbox.company_cursor import SERVICE_ACCOUNT_ID, SERVICE_ACCOUNT_NAME
from usage_assets_sandbox.ledger import Ledger, group
from usage_assets_sandbox.providers import BOOKS
from usage_assets_tests.stateful.books import API_KEY_FLOOR, STORED

Content = Counter[Hashable]
FOR_EVER = date.max
FREE_OF = {"openai.usage_vector_stores": "usage_bytes"}
_decoder = msgspec.json.Decoder(float_hook=Decimal)


@cache
def table_of(name: str) -> Table:
    """A table as it is declared: of which type and unit its columns are."""
    return Table(declared(name))


def frozen(value: Any) -> Hashable:
    """A value that can be counted; the order of an object's fields says nothing."""
    if isinstance(value, dict):
        cents = {name: Decimal(inner) for name, inner in value.items() if name == "estimated_cost_cents"}
        return frozenset((name, frozen(inner)) for name, inner in {**value, **cents}.items() if inner is not None)
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def content(rows: Iterable[Mapping[str, Any]]) -> Content:
    """Rows that can be compared: a null states nothing, JSON is what it says."""
    return Counter(frozenset(_known_values(row)) for row in rows)


def _known_values(row: Mapping[str, Any]) -> Iterator[tuple[str, Hashable]]:
    for name, value in row.items():
        if value is None:
            continue
        if name == "model_breakdown" and isinstance(value, str):
            yield name, frozen(_decoder.decode(value))
        else:  # millions of values are neither an object nor a list
            yield name, frozen(value) if isinstance(value, (dict, list)) else value


@cache
def own_columns(table: str) -> Sequence[str]:
    """A table's columns, but for connection and day, by which its rows are found."""
    return [column.name for column in table_of(table).columns if column.name not in ("connection", "usage_date")]


class Dated(NamedTuple):
    """An entry of the connections file: its table, and what it says."""

    table: str
    said: Mapping[str, Any]

    def speaks_of(self, day: date) -> bool:
        """Whether the day is one of its days."""
        first, last = self.said.get("valid_from", date.min), self.said.get("valid_until", FOR_EVER)
        return bool(first <= day <= last)


Accounting = Sequence[Dated]


@dataclass
class Bills:
    """Where a cloud delivers its bills, and until which day it has."""

    folder: Path
    until: date = date.min


@dataclass(frozen=True)
class Account:
    """A connection: whose books it shows."""

    name: str
    provider: str
    ledger: Ledger
    keeps_names: bool = False
    """Whether USAGE_PEOPLE is names for it."""
    endpoints: Sequence[str] = ()
    """Those that are on; none: all that the sandbox has books of."""
    bills: Bills | None = None
    """Where its files are, if it reads files."""
    keys_since: date = API_KEY_FLOOR
    """The first day of which costs are told by API key."""


@dataclass
class Lookups:
    """What ids were last listed as: (connection, kind) -> id -> item."""

    listed: defaultdict[tuple[str, str], dict[str, Row]] = field(default_factory=lambda: defaultdict(dict))

    def note(self, account: Account, lists: Mapping[str, Iterable[Row]]) -> None:
        """The lists of a connection's organization have been read. What is not in them any more keeps its name."""
        for listed, items in lists.items():
            if listed.startswith("spend_"):  # not fetched unless a connection asks for it
                continue
            for item in items:
                kept = {"name": (item["name"] or "").strip() or None, "email": item.get("email")}
                if listed == "users" and not account.keeps_names:
                    kept = {}
                used_by = (item.get("owner") or {}).get("service_account", {}).get("id")
                self.listed[account.name, listed][item["id"]] = kept | {"account": used_by}

    def name(self, connection: str, kinds: Sequence[str], id_: str | None) -> str | None:
        """The name of an id; None where it has none."""
        return next((name for kind in kinds if (name := self._item(connection, kind, id_).get("name"))), None)

    def account(self, connection: str, key: str | None) -> str | None:
        """The service account that an API key belongs to, where it is listed."""
        account = next((id_ for kind in KEYS if (id_ := self._item(connection, kind, key).get("account"))), None)
        return account if account in self.listed[connection, "service_accounts"] else None

    def email(self, connection: str, id_: str | None) -> str | None:
        """The address of a user; None where none is kept."""
        return self._item(connection, "users", id_).get("email")

    def _item(self, connection: str, kind: str, id_: str | None) -> Row:
        return self.listed[connection, kind].get(id_ or "", {})


SCOPES, USERS, KEYS = ("projects", "workspaces"), ("users", "service_accounts"), ("project_api_keys", "api_keys")


# --- Raw tables -------------------------------------------------------------------------------------------------------


def raw_rows(account: Account, day: date) -> dict[str, list[Row]]:
    """Table -> rows of the day, control totals included."""
    tables: dict[str, list[Row]] = {}
    for endpoint in PROVIDERS[account.provider].endpoints:
        if endpoint.name not in (account.endpoints or BOOKS[account.provider].endpoints):
            continue
        name = endpoint.name.partition("_by_")[0]  # a cut is of the book of the whole
        book = BOOKS[account.provider].endpoints[name]
        rows = account.ledger.rows(account.provider, name, day)
        name = f"{account.provider}/{name}"
        granted = {*endpoint.group_by}
        if endpoint.row.table == "openai.costs" and day < account.keys_since:
            granted -= {"api_key_id"}
        if granted:
            kept = audit_sources.told_by(name, granted) | {"currency", "quantity_unit"}
            if "description" in granted:
                kept = {*book.dimensions}
            if account.keeps_names and endpoint.row.table == "openai.costs":
                kept |= {"user_email"}
            rows = [row | {"grouped_by": ",".join(sorted(granted))} for row in group(rows, book.dimensions, kept)]
        if tell := audit_sources.STORED.get(name):
            told = audit_sources.Told(rows, day, account.bills.until if account.bills else day)
            named: Iterable[Row] = tell(told)
        else:
            named = STORED.get(name, list)(rows)
        names = own_columns(endpoint.row.table)
        stored = [{name: row.get(name) for name in names} for row in named]
        for row, source in zip(stored, rows, strict=False):
            if "model_breakdown" in row:
                row["model_breakdown"] = sorted(
                    map(_model_use, source["model_breakdown"]), key=lambda use: use["model"]
                )
        tables[endpoint.row.table] = stored
        if control := endpoint.control:
            amounts = by(({**row, "code": (row[control.currency] or "").upper()} for row in stored), "code")
            tables[control.row.table] = [
                {control.currency: code, **sums(same, control.amount)} for (code,), same in amounts.items()
            ]
    return tables


MODEL_USE = """
    model  input=uncached_input_tokens  output=output_tokens  cache_read=cache_read_input_tokens
    cache_creation=cache_creation_5m_input_tokens
"""


def _model_use(used: Row) -> Row:
    cents = Decimal(used["estimated_cents"])
    return {**picked(used, MODEL_USE), "estimated_cost_cents": cents, "currency": "USD"}


# --- Costs ------------------------------------------------------------------------------------------------------------


def _line_item(line_item: str | None) -> tuple[str | None, str | None]:
    """Model and kind of usage, where the item is those two; without a comma it is a kind by itself."""
    if line_item and "," not in line_item:
        return None, line_item
    words = (line_item or "").split(", ")
    if len(words) != 2 or not all(words) or "," in words[1] or re.search(r"[\s,]", words[0]) or words[1][-1:].isspace():
        return None, None
    return words[0], words[1]


def _openai_costs(rows: Sequence[Row]) -> Iterator[Row]:
    rows = [row | {"currency": row["amount_currency"].upper()} for row in rows]
    for said, same in grouped(rows, "currency project_id user_id api_key_id line_item grouped_by"):
        model, kind = _line_item(said["line_item"])
        yield cost(
            "openai.costs",
            **said,
            cost_basis="billed",
            native_amount=added(same, "amount_value"),
            native_unit="dollars" if said["currency"] == "USD" else "major units",
            model=model,
            usage_type=kind,
        )


COST_REPORT = """
    model  workspace_id  cost_type  token_type  service_tier  context_window  inference_geo  grouped_by
    native_amount=amount_cents  line_item=description
"""


def _cost_report(rows: Sequence[Row]) -> Iterator[Row]:
    for row in rows:
        currency = row["currency"].upper()
        yield cost(
            "anthropic.cost_report",
            **picked(row, COST_REPORT),
            cost_basis="billed",
            native_unit="cents" if currency == "USD" else "minor units",
            currency=currency,
            usage_type=row["token_type"] or row["cost_type"],
        )


def _claude_code(rows: Sequence[Row]) -> Iterator[Row]:
    uses = [
        {
            **row,
            **used,
            "user_id": row["actor_email"],
            "cost_basis": "estimated" if row["customer_type"] == "api" else "notional",
        }
        for row in rows
        for used in row["model_breakdown"]
    ]
    for said, same in grouped(uses, "cost_basis model user_id api_key_name"):
        cents = added(same, "estimated_cost_cents")
        yield cost("anthropic.claude_code", **said, native_amount=cents, native_unit="cents", currency="USD")


def _codex_usage(rows: Sequence[Row]) -> Iterator[Row]:
    moneys = (("credits", "credits"), ("billed", "cost_usd"), ("estimated", "estimated_cost_usd"))
    for whose, same in grouped(counted(rows), "workspace_id user_id"):
        for basis, name in moneys:
            if (amount := added(same, name)) is not None:
                unit, currency = ("credits", None) if basis == "credits" else ("dollars", "USD")
                money = {"native_amount": amount, "native_unit": unit, "currency": currency}
                yield cost("chatgpt.codex_usage", **whose, cost_basis=basis, **money)


def counted(rows: Sequence[Row]) -> list[Row]:
    """The rows of Codex that show the day's use once."""
    cut = "user" if any(row["cut"] == "user" for row in rows) else "workspace"
    return [row for row in rows if row["cut"] == cut]


SOURCES: Mapping[str, Callable[[Sequence[Row]], Iterator[Row]]] = {
    "openai.costs": _openai_costs,
    "anthropic.cost_report": _cost_report,
    "anthropic.claude_code": _claude_code,
    "chatgpt.codex_usage": _codex_usage,
    **audit_sources.COSTS,
}
MINOR_DIGITS = {"EUR": 2, "GBP": 2, "JPY": 0}


def valued(row: Row, day: date, accounting: Accounting) -> Row:
    """A cost with what it is worth in dollars."""
    unit, currency, amount = row["native_unit"], row["currency"], row["native_amount"]
    rate, dollars, reason = None, None, None
    if unit == "dollars":
        dollars = amount
    elif unit == "cents":
        dollars = times(amount, Decimal("0.01"))
    elif unit == "credits":
        rate = _stated(accounting, "credit_rate", day, workspace=row["workspace_id"])
        dollars = times(amount, rate["usd_per_credit"]) if rate else None
        reason = None if rate else f"no credit rate is configured for workspace {row['workspace_id'] or '?'}"
    else:
        rate = _stated(accounting, "exchange_rate", day, currency=currency)
        if rate:
            digits = MINOR_DIGITS[currency] if unit == "minor units" else 0
            dollars = times(amount, EXACT.scaleb(rate["usd"], -digits))
        reason = None if rate else f"no exchange rate is configured for {currency}"
    stated = {
        "usd_rate": rate and rate.get("usd_per_credit", rate.get("usd")),
        "usd_rate_source": rate and rate["source"],
    }
    return row | {"amount_usd": dollars, "usd_reason": reason} | stated


def _stated(accounting: Accounting, table: str, day: date, **wanted: Any) -> Mapping[str, Any] | None:
    return next(
        (
            entry.said
            for entry in accounting
            if entry.table == table
            and entry.speaks_of(day)
            and all(entry.said.get(name) == value for name, value in wanted.items())
        ),
        None,
    )


# --- Allocation -------------------------------------------------------------------------------------------------------


class Use(NamedTuple):
    """What a key and a user used of what a bill is for; of several steps the first counts."""

    step: int
    api_key_id: str | None
    user_id: str | None
    units: int
    unit: str
    basis: str


REPORTS = ("completions", "embeddings", "moderations", "images", "audio_speeches", "audio_transcriptions")
"""Those by which bills are split. Decisions are made by models, too."""
PIECES = ("images", "characters", "seconds")


def _openai_uses(bill: Row, tables: Mapping[str, list[Row]]) -> Iterator[Use]:
    granted = bill["grouped_by"].split(",")
    if {"api_key_id", "user_id"} <= {*granted} or "project_id" not in granted or not bill["model"]:
        return
    wanted = re.sub(r"[ _]tokens$", "", (bill["usage_type"] or "").lower()).replace("_", " ")
    common = ", ".join(name for name in granted if name in ("project_id", "user_id", "api_key_id"))
    for step, report in enumerate(REPORTS, 1):
        for row in tables.get(f"openai.usage_{report}", ()):
            same = [name for name in ("user_id", "api_key_id") if name in granted]
            if (row["project_id"], row["model"]) != (bill["project_id"], bill["model"]):
                continue
            if any(row[name] != bill[name] for name in same):
                continue
            for measure, units in _measured(row).items():
                if units and units > 0 and measure in (wanted, *PIECES):
                    words = {"input": "input_tokens without input_cached_tokens", "output": "output_tokens"}
                    turned = re.sub(r"(.+) (input|output)", r"\2_\1_tokens", measure)
                    yield Use(
                        step,
                        row["api_key_id"],
                        row["user_id"],
                        units,
                        measure if measure in PIECES else "tokens",
                        f"{words.get(measure, turned)} of openai.usage_{report} of the same day, model, {common}",
                    )


def _measured(row: Row) -> dict[str, int | None]:
    kinds = ("text", "audio", "image")
    measured = {name: row.get(name) for name in PIECES}
    measured |= {f"{kind} {way}": row.get(f"{way}_{kind}_tokens") for kind in kinds for way in ("input", "output")}
    measured |= {"output": row.get("output_tokens"), "cached input": row.get("input_cached_tokens")}
    if row.get("input_tokens") is not None:
        measured["input"] = row["input_tokens"] - (row.get("input_cached_tokens") or 0)
    return measured


def _anthropic_uses(bill: Row, tables: Mapping[str, list[Row]]) -> Iterator[Use]:
    searches = bill["cost_type"] == "web_search"
    measure = "web_search_requests" if searches else (bill["token_type"] or "").replace(".ephemeral", "")
    start = f"{measure} of anthropic.usage_messages of the same day, workspace_id"
    for row in tables.get("anthropic.usage_messages", ()):
        if row["workspace_id"] != bill["workspace_id"] or (row.get(measure) or 0) <= 0:
            continue
        step, basis = 1, start if searches else f"{start}, model, service_tier"
        if not searches:
            if row["model"] != bill["model"]:
                continue
            if row["service_tier"] != bill["service_tier"]:
                if row["service_tier"] in ("standard", "batch", "priority"):
                    continue
                step = 2
                basis = f"{start}, model and of tiers that anthropic.cost_report has no rows for"
        unit = "requests" if searches else "tokens"
        yield Use(step, row["api_key_id"], row["account_id"], row[measure], unit, basis)


def _copilot_uses(bill: Row, tables: Mapping[str, list[Row]]) -> Iterator[Use]:
    basis = "ai_credits_used of github_copilot.users_1_day of the same day"
    for user, units in audit_sources.users_of_credits(tables["github_copilot.users_1_day"]):
        yield Use(1, None, user, units, "nanocredits", basis)


USES = {
    "openai.costs": _openai_uses,
    "anthropic.cost_report": _anthropic_uses,
    "github_copilot.ai_credits": _copilot_uses,
}


def parts(amount: Decimal | None, units: Sequence[int], ties: Sequence[tuple[str | None, ...]]) -> list[Decimal | None]:
    """An amount in parts as units, by the largest remainder, in last places of 24."""
    if amount is None:
        return [None] * len(units)
    places, whole = int(abs(amount).scaleb(24, EXACT)), sum(units)
    shares = [places * unit // whole for unit in units]
    order = sorted(
        range(len(units)), key=lambda n: (-(places * units[n] % whole), [(t is None, t or "") for t in ties[n]])
    )
    for n in order[: places - sum(shares)]:
        shares[n] += 1
    return [(Decimal(share) * (-1 if amount < 0 else 1)).scaleb(-24, EXACT) for share in shares]


def allocated(bill: Row, tables: Mapping[str, list[Row]]) -> Iterator[Row]:
    """A billed row of openai.costs or anthropic.cost_report, in the parts of those who used what it bills."""
    uses = list(USES[bill["source_table"]](bill, tables))
    first = min((use.step for use in uses), default=0)
    whole = {name: bill.get(name) for name in own_columns(ALLOCATED)} | {"billed_amount": bill["native_amount"]}
    if not uses:
        is_stated = (
            bill["api_key_id"] or bill["user_id"] or {"api_key_id", "user_id"} <= {*bill["grouped_by"].split(",")}
        )
        yield whole | {"allocation": "stated" if is_stated else "unattributed"}
        return
    shared: dict[tuple[Any, ...], int] = defaultdict(int)
    for use in uses:
        if use.step == first:
            shared[use.user_id, use.api_key_id, use.unit, use.basis] += use.units
    ties = [key[:2] for key in shared]
    native = parts(bill["native_amount"], list(shared.values()), ties)
    dollars = parts(bill["amount_usd"], list(shared.values()), ties)
    for n, ((user, key, unit, basis), units) in enumerate(shared.items()):
        amounts = {"native_amount": native[n], "amount_usd": dollars[n]}
        of_use = {"user_id": user, "api_key_id": key, "allocation": unit, "basis": basis}
        yield whole | amounts | of_use | {"units": units, "all_units": sum(shared.values())}


# --- Entities ---------------------------------------------------------------------------------------------------------

CLASSES = """
    uncached_input_tokens  output_tokens  cache_read_input_tokens  web_search_requests
    cache_creation_5m_tokens=cache_creation_5m_input_tokens  cache_creation_1h_tokens=cache_creation_1h_input_tokens
"""
"""Property, and its column of anthropic.usage_messages where that is called otherwise."""


def _openai_entities(of: OneDay) -> Entities:
    day, costs = str(of.day), of.tables["openai.costs"]
    has_total = all(row["amount_currency"].lower() == "usd" or row["amount_value"] == 0 for row in costs)
    used = [
        {
            "model": row["model"] or "unknown",
            "requests": row["num_model_requests"],
            "tokens": (row.get("input_tokens") or 0) + (row.get("output_tokens") or 0),
        }
        for report in (*REPORTS, "decisions")
        for row in of.tables.get(f"openai.usage_{report}", ())
    ]
    seconds = int(midnight(of.day).timestamp())
    return {
        "openai_daily_usage": [
            of.dated(
                f"daily-{day}",
                f"OpenAI Usage {day}",
                date=day,
                total_requests=added(used, "requests") or 0,
                total_tokens=added(used, "tokens") or 0,
                total_cost=(added(costs, "amount_value") or Decimal(0)) if has_total else None,
            )
        ],
        "openai_model_usage": [
            of.dated(f"{model}-{seconds}", f"{model} usage", model=model, date=day, **sums(same, "requests tokens"))
            for (model,), same in by(used, "model").items()
        ],
    }


def _claude_usage(of: OneDay) -> Entities:
    messages = [
        {**picked(row, CLASSES), "model": row["model"] or "unknown", "workspace_id": row["workspace_id"] or "default"}
        for row in of.tables["anthropic.usage_messages"]
    ]

    classes = [each.partition("=")[0] for each in CLASSES.split()]

    def record(rows: Iterable[Row], published: str, title: str, **about: str) -> Row:
        return of.record(published, title, **about, **{name: sum(row[name] for row in rows) for name in classes})

    return {
        "claude_usage_record": [record(messages, f"{of.day}-usage", f"Claude Usage - {of.day}")],
        "claude_model_usage": [
            record(rows, f"{model}-{of.day}", f"{model} - {of.day}", model=model)
            for (model,), rows in by(messages, "model").items()
        ],
        "claude_workspace_usage": [
            record(rows, f"{scope}-{of.day}", f"{of.name_of(SCOPES, scope) or scope} - {of.day}", workspace_id=scope)
            for (scope,), rows in by(messages, "workspace_id").items()
        ],
    }


def _claude_costs(of: OneDay) -> Entities:
    report = [{**row, "currency": row["currency"].upper()} for row in of.tables["anthropic.cost_report"]]
    records = []
    for currency in dict.fromkeys(("USD", *(row["currency"] for row in report))):
        amount = added(report, "amount_cents", currency=currency) or Decimal(0)
        names = [f"{of.day}-cost", f"Claude Cost - {of.day}"]
        if currency != "USD":
            names = [f"{names[0]}-{currency}", f"{names[1]} ({currency})"]
        whole = times(amount, Decimal(1).scaleb(-MINOR_DIGITS.get(currency, 2)))
        records.append(of.record(*names, amount=whole, currency=currency))
    return {"claude_cost_record": records}


def _claude_code_entities(of: OneDay) -> Entities:
    records = of.tables["anthropic.claude_code"]
    named = [{**row, "actor_name": row["api_key_name"] or row["actor_email"] or "unknown"} for row in records]
    return {
        "claude_code_analytics": [
            of.record(
                f"{actor['organization_id']}-{actor['actor_name']}-{of.day}",
                f"{actor['actor_name']} - {of.day}",
                **actor,
                **_of_actor(rows),
            )
            for actor, rows in grouped(named, "organization_id actor_type actor_name")
        ]
    }


COUNTERS = """
    num_sessions  lines_added  lines_removed  commits  pull_requests
    edit_tool_accepted  edit_tool_rejected  write_tool_accepted  write_tool_rejected
"""


def _of_actor(rows: Sequence[Row]) -> Row:
    uses = by((used for row in rows for used in row["model_breakdown"]), "model")
    return {
        "terminal_type": ", ".join(sorted({row["terminal_type"] for row in rows})),
        **sums(rows, COUNTERS),
        "model_breakdown": [
            {
                "model": model,
                "tokens": sums(same, "input output cache_read cache_creation"),
                "estimated_cost": {
                    "currency": "USD",
                    "amount": times(added(same, "estimated_cost_cents"), Decimal("0.01")),
                },
            }
            for (model,), same in sorted(uses.items())
        ],
    }


OF_CODEX = """
    credits  threads  turns  cost_usd  estimated_cost_usd
    uncached_text_input_tokens  cached_text_input_tokens  text_output_tokens  text_total_tokens
"""


def _codex_entities(of: OneDay) -> Entities:
    rows = [{**row, "scope": row["cut"]} for row in counted(of.tables["chatgpt.codex_usage"])]
    records = []
    for whose, same in grouped(rows, "workspace_id user_id scope"):
        name = whose["user_id"] if whose["scope"] == "user" else "workspace"
        published = f"{whose['workspace_id']}-{name}-{of.day}"
        records.append(of.record(published, f"{name} - {of.day}", **whose, **sums(same, OF_CODEX)))
    return {"codex_usage_record": records}


ENTITIES = {
    "openai.costs": _openai_entities,
    "anthropic.usage_messages": _claude_usage,
    "anthropic.cost_report": _claude_costs,
    "anthropic.claude_code": _claude_code_entities,
    "chatgpt.codex_usage": _codex_entities,
    **audit_sources.ENTITIES,
}
"""Raw table -> what it becomes in Port, beside the entities of costs."""


def owner_of(row: Row, accounting: Iterable[Dated]) -> Row:
    """The team and cost center that pay for a cost."""
    owners = [entry for entry in accounting if entry.table == "owner" and entry.speaks_of(row["usage_date"])]
    key = {"api_key": row["api_key_id"] or row["api_key_name"]}
    for kind, id_ in (key | picked(row, "user=user_id project=project_id workspace=workspace_id")).items():
        for entry in owners:
            said = entry.said
            if id_ and said.get(kind) == id_ and said.get("connection", row["connection"]) == row["connection"]:
                return {"team": said["team"], "cost_center": said.get("cost_center")}
    return {"team": "unowned", "cost_center": None}


NO_SCOPE = {"anthropic": "Default workspace", "focus": "no sub account"}
"""What costs without a project or workspace are for; elsewhere there is none."""


ESTIMATES = {"anthropic.claude_code", "litellm.user_activity", "litellm.team_activity"}
"""Sources of costs that bill nothing."""


def cost_entities(
    account: Account,
    day: date,
    raw: Mapping[str, list[Row]],
    costs: Sequence[Row],
    parts: Sequence[Row],
    accounting: Accounting,
    lookups: Lookups,
) -> Mapping[str, list[Row]]:
    """What every provider's costs become in Port."""
    name = account.name

    def entity(provider: str, names: Sequence[str | None], title: Sequence[str], **properties: Any) -> Row:
        """The last part of its identifier and title is the day, and the first part of its title the company."""
        return {
            "identifier": path(name, *names, str(day)),
            "title": " - ".join((PROVIDERS[provider].company, *title, str(day))),
            "record_date": f"{day}T00:00:00Z",
            "provider": provider,
            **properties,
        }

    accounts = {row["sub_account_id"]: row["sub_account_name"] for row in raw.get("focus.charges", ())}
    has_bill = any(source in raw for source in SOURCES if source not in ESTIMATES)
    cut = [
        {
            **row,
            "scope_id": row["project_id"] or row["workspace_id"],
            "used": row["model"] or (row["line_item"] or "").split(", ")[0] or None,
        }
        for row in costs
    ]
    records = []
    for about, same in grouped(cut, "provider cost_basis native_unit currency scope_id used"):
        kind, scope, model = about["cost_basis"], about["scope_id"], about.pop("used")
        if kind != "credits" and about["currency"] != "USD":
            kind += f"-{about['currency']}"
        scope_name = lookups.name(name, SCOPES, scope) or accounts.get(scope) or scope
        scope_name = scope_name or NO_SCOPE.get(about["provider"], "no project or workspace")
        about |= {"scope_name": scope_name, "model": model or "no model", **sums(same, "native_amount amount_usd")}
        records.append(entity(names=(kind, scope, model or "unknown"), title=(scope_name, about["model"]), **about))
    people = []
    is_nobodys = any(_is_billed([row]) and row["native_amount"] for row in costs if row["user_id"] is None)
    for (provider, user), same in by(costs, "provider", "user_id").items():
        agent = SERVICE_ACCOUNT_NAME if user == SERVICE_ACCOUNT_ID else None
        called = lookups.name(name, USERS, user) or agent or user or "unassigned"
        address = lookups.email(name, user) or (user if re.fullmatch(".+@.+", user or "") else None)
        amounts = _by_basis(same, has_bill=has_bill and (not is_nobodys or _is_billed(same)))
        people.append(entity(provider, (user,), (called,), user_id=user, user_email=address, **amounts))
    models = []
    for key, same in by(map(identified, costs), "provider family variant usage_type").items():
        provider, family, variant, usage_type = key
        names, kind = [*filter(None, (family, variant))], usage_type or "not itemized"
        about = {"model": family or "no model", "variant": variant, "usage_type": kind}
        title = (" ".join(names) or "no model", kind)
        amounts = _by_basis(same, has_bill=has_bill)
        models.append(entity(provider, ("+".join(names), usage_type), title, **about, **amounts))
    split = {row["source_table"] for row in parts}
    shared = [row for row in costs if row["cost_basis"] != "billed" or row["source_table"] not in split]
    shared += [{**row, "cost_basis": "billed", "api_key_name": None} for row in parts]
    owned = [{**row, **owner_of({**row, "usage_date": day, "connection": name}, accounting)} for row in shared]
    teams = []
    for (provider, team), same in by(owned, "provider team").items():
        centers = ", ".join(sorted({row["cost_center"] for row in same if row["cost_center"]})) or None
        amounts = _by_basis(same, has_bill=has_bill)
        teams.append(entity(provider, (team,), (team,), team=team, cost_center=centers, **amounts))
    return {"ai_cost_record": records, "ai_user_cost": people, "ai_model_cost": models, "ai_team_cost": teams}


def _is_billed(costs: Sequence[Row]) -> bool:
    return any(row["cost_basis"] == "billed" for row in costs)


def _by_basis(costs: Sequence[Row], *, has_bill: bool) -> Row:
    credits_ = added(costs, "native_amount", cost_basis="credits") or Decimal(0)
    dollars = {f"{basis}_usd": _dollars(costs, basis) for basis in ("billed", "estimated", "notional")}
    return dollars | {"credits": credits_} | ({} if has_bill else {"billed_usd": None})


def _dollars(costs: Iterable[Row], basis: str) -> Decimal | None:
    amounts = [row["amount_usd"] for row in costs if row["cost_basis"] == basis and row["native_amount"] != 0]
    return None if None in amounts else total(amounts) or Decimal(0)


# --- What is kept of each day -----------------------------------------------------------------------------------------


def tables_of(
    account: Account, day: date, accounting: Accounting, lookups: Lookups
) -> dict[tuple[str, str], list[Row]]:
    """(table, part of it) -> what it must hold of a connection's day."""
    raw = raw_rows(account, day)
    kept = {(table, ""): rows for table, rows in raw.items()}
    costs: list[Row] = []
    parts: list[Row] = []
    for source in (billed := [source for source in SOURCES if source in raw]):
        kept[DAILY, source] = [valued(row, day, accounting) for row in SOURCES[source](raw[source])]
        costs += kept[DAILY, source]
        if source in USES:
            kept[ALLOCATED, source] = [part for bill in kept[DAILY, source] for part in allocated(bill, raw)]
            parts += kept[ALLOCATED, source]
    of = OneDay(account.name, day, raw, partial(lookups.name, account.name))
    entities = [build(of) for table, build in ENTITIES.items() if table in raw]
    if billed:
        entities.append(cost_entities(account, day, raw, costs, parts, accounting, lookups))
    for found in entities:
        kept |= {(f"port_entities.{blueprint}", ""): rows for blueprint, rows in found.items()}
    return kept


def day_totals(table: str, rows: Sequence[Row]) -> dict[str, Decimal | int]:
    """What a day adds up to, by the names of its totals."""
    additive = [c.name for c in table_of(table).columns if c.unit and c.additive and c.type in (int, Decimal)]
    totals = sums(rows, *additive, FREE_OF.get(table, ""))

    for name, summed in audit_sources.TOTALS.get(table, {}).items():
        totals[name] = total(row[summed.column] for row in rows if summed.where(row))

    def amounts(name: str, amount: str, **wanted: Any) -> None:
        totals[name] = added(rows, amount, **wanted)

    match table.removesuffix("_control"):
        case "openai.costs" | "anthropic.cost_report":
            amount, column, dollars = (
                ("amount_value", "amount_currency", "amount_usd")
                if table.startswith("openai")
                else ("amount_cents", "currency", "amount_cents")
            )
            for code in {row[column].upper() for row in rows}:
                name = dollars if code == "USD" else f"amount_{code.lower()}"
                totals[name] = total(row[amount] for row in rows if row[column].upper() == code)
        case "anthropic.claude_code":
            amounts("estimated_cents_api", "estimated_cost_usd_cents", customer_type="api")
            amounts("estimated_cents_subscription", "estimated_cost_usd_cents", customer_type="subscription")
        case "chatgpt.codex_usage":
            totals |= sums(counted(rows), OF_CODEX, "text_input_tokens")
        case "costs.daily_costs":
            for basis in ("billed", "estimated", "notional"):
                amounts(f"{basis}_usd", "amount_usd", cost_basis=basis)
            amounts("credits", "native_amount", native_unit="credits")
            if rows and rows[0]["source_table"] == "openai.costs":
                totals["line_items_unparsed"] = sum(bool(row["line_item"]) - bool(row["usage_type"]) for row in rows)
        case "costs.allocated_costs":
            amounts("billed_usd", "amount_usd")
            amounts("unattributed_usd", "amount_usd", allocation="unattributed")
        case "port_entities.claude_cost_record":
            amounts("amount_usd", "amount", currency="USD")
        case "port_entities.ai_cost_record":
            amounts("billed_usd", "amount_usd", cost_basis="billed")
    return {name: value for name, value in totals.items() if value is not None}


@dataclass
class ManagedProcess:
    """A day of a table: what it holds, and how often which content was written when."""

    rows: list[Row]
    content: Content
    totals: Mapping[str, Decimal | int]
    version: int = 1
    since: int = 1
    """The version that had this content first."""
    writes: list[datetime] = field(default_factory=list)
    source: int = 0
    """Of costs: the version of their source that they were computed from."""


Key = tuple[str, str, str, date]
"""Table, part, connection, day."""


class Keeper:
    """What every table holds once the runs that it is told of have written it."""

    def __init__(self, accounts: Iterable[Account], accounting: Accounting) -> None:
        self.accounts = {account.name: account for account in accounts}
        self.accounting = accounting
        self.lookups = Lookups()
        self.days: dict[Key, ManagedProcess] = {}
        self.restatements: list[Row] = []

    def written(
        self, connection: str, days: Iterable[date], at: datetime, run_id: str, parts: Collection[tuple[str, str]]
    ) -> None:
        """A run has written a connection's days: these parts of tables."""
        account = self.accounts[connection]
        for day in days:
            for part, rows in tables_of(account, day, self.accounting, self.lookups).items():
                if part in parts:
                    self._write((*part, connection, day), rows, at, run_id)

    def lose(self) -> None:
        """The database is gone: nothing of it is kept."""
        self.days, self.restatements, self.lookups = {}, [], Lookups()

    def behind(self) -> set[Key]:
        """The days that are not what the books, the rates and the names of now make of them."""
        found = set()
        for connection, day in {(connection, day) for _, _, connection, day in self.days}:
            for part, rows in tables_of(self.accounts[connection], day, self.accounting, self.lookups).items():
                key = (*part, connection, day)
                if key not in self.days or content(_of_day(key, rows)) != self.days[key].content:
                    found.add(key)
        return found

    def is_ahead(self, source: str, connection: str, day: date, version: int | None = None) -> bool:
        """Whether a version of a source, otherwise its newest content, is newer than the costs computed from it."""
        costs = self.days[DAILY, source, connection, day]
        return (version or self.days[source, "", connection, day].since) > costs.source

    def _write(self, key: Key, rows: list[Row], at: datetime, run_id: str) -> None:
        table, part, connection, day = key
        rows = _of_day(key, rows)
        now = ManagedProcess(rows, content(rows), day_totals(table, rows), writes=[at])
        if table == DAILY:
            now.source = self.days[part, "", connection, day].since
        if before := self.days.get(key):
            now.version, now.since = before.version + 1, before.since
            now.writes = [*before.writes, at]
            if now.content != before.content:
                now.since = now.version
                lines = list(_compared(table, before, now))
                same = {
                    **_place(key),
                    "version": now.version,
                    "cause": "derived" if table.startswith(("costs.", "port_entities.")) else "provider",
                    "found_at": at,
                    "run_id": run_id,
                }
                self.restatements += [same | line for line in lines or [{"change": "rows"}]]
        self.days[key] = now

    def rows(self, table: str) -> list[Row]:
        """Every row of a table."""
        return [row for (name, *_), kept in self.days.items() if name == table for row in kept.rows]

    def days_of(self, connection: str) -> set[date]:
        """The days of which anything is stored."""
        return {day for *_, of, day in self.days if of == connection}

    def tables(self) -> set[str]:
        """Every table of days."""
        return {table for table, *_ in self.days}

    def settling_days(self, connection: str) -> int:
        """How long the provider of a connection is expected to change a day."""
        return PROVIDERS[self.accounts[connection].provider].settling_days

    def day_states(self) -> Iterator[Row]:
        """Which raw days the provider may still change."""
        for key, kept in self.days.items():
            table, _, connection, day = key
            if table.startswith(("costs.", "port_entities.")):
                continue
            first, last = kept.writes[kept.since - 1], kept.writes[-1]
            settled = midnight(day + DAY * (self.settling_days(connection) + 1))
            late = [at for at in kept.writes[kept.since - 1 :] if at >= settled]
            confirmed = [at for at in late if at >= first + DAY]
            yield {
                **_place(key),
                "state": "settled" if confirmed else "provisional",
                "first_fetched_at": first,
                "last_fetched_at": last,
                "final_at": late[0] if late else None,
                "settled_at": confirmed[0] if confirmed else None,
            }

    def settled_until(self, connection: str, today: date) -> date | None:
        """The last of the days that are settled without a gap, if any is; what is not served any more cannot change."""
        served = today - timedelta(days=PROVIDERS[self.accounts[connection].provider].lookback_days or 10**5)
        states = [row for row in self.day_states() if row["connection"] == connection]
        open_days = {row["usage_date"] for row in states if row["state"] != "settled" and row["usage_date"] >= served}
        last = min(open_days) - DAY
        return last if last in {row["usage_date"] for row in states} else None

    def stored_days(self) -> Iterator[Row]:
        """What the ledger says of each day now."""
        for key, kept in self.days.items():
            yield {
                **_place(key),
                "version": kept.version,
                "row_count": len(kept.rows),
                "written_at": kept.writes[-1],
                "changed": kept.since == kept.version,
                "content_version": kept.since,
                "content_since": kept.writes[kept.since - 1],
                "day_totals": kept.totals,
            }


def _place(key: Key) -> Row:
    return dict(zip(("table_name", "slice", "connection", "usage_date"), key, strict=True))


def _of_day(key: Key, rows: Iterable[Row]) -> list[Row]:
    _, _, connection, day = key
    return [{"connection": connection, "usage_date": day, **row} for row in rows]


def _compared(table: str, before: ManagedProcess, now: ManagedProcess) -> Iterator[Row]:
    one = {"row_count": len(before.rows), **before.totals}
    other = {"row_count": len(now.rows), **now.totals}
    for name in one.keys() | other.keys():
        was, is_ = one.get(name), other.get(name)
        if was != is_:
            change = "appeared" if was is None else "vanished" if is_ is None else "rose" if is_ > was else "fell"
            difference = EXACT.subtract(Decimal(is_ or 0), Decimal(was or 0))
            unit = unit_of(table, name)
            yield {"total": name, "unit": unit, "change": change, "before": was, "after": is_, "difference": difference}


def unit_of(table: str, name: str) -> str:
    """What a total counts."""
    units = {column.name: column.unit for column in table_of(table).columns}
    stated = audit_sources.TOTALS.get(table, {}).get(name)
    if stated and stated.unit:
        return stated.unit
    match table.partition(".")[0], name.removeprefix("amount_"):
        case _, "row_count" | "line_items_unparsed":
            return "rows"
        case _, "cents" | "estimated_cents_api" | "estimated_cents_subscription":
            return "cents"
        case "anthropic", code if code != name:
            return f"minor units of {code.upper()}"
        case "openai", code if code != name:
            return code.upper()
        case "costs", "credits":
            return "credits"
    return units.get(name) or "USD"
