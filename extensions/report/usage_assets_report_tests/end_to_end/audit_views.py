"""What must stand in the views over costs, in FOCUS and in what the connections file states.

Computed in Python from the rows that audit_books.py says are stored.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import time_machine

from usage_assets.core.days import DAY
from usage_assets_report_tests.end_to_end import audit_sources
from usage_assets_report_tests.end_to_end.audit_books import (
    KEYS,
    MINOR_DIGITS,
    SCOPES,
    USERS,
    Keeper,
    counted,
    owner_of,
)
from usage_assets_report_tests.end_to_end.audit_models import identified, identity_of, kind_of
from usage_assets_report_tests.end_to_end.audit_sums import (
    ALLOCATED,
    DAILY,
    Row,
    added,
    by,
    grouped,
    midnight,
    month_of,
    next_month,
    picked,
    sums,
    times,
    total,
)
from usage_assets_sandbox.company import EXACT
from usage_assets_sandbox.company_cursor import SERVICE_ACCOUNT_ID

VIEWS = {
    "costs.by_day": "usage_date",
    "costs.by_month": "month",
    "costs.by_model": "usage_date family variant usage_type",
    "costs.by_model_as_sent": "usage_date model usage_type family version variant developer",
    "costs.by_usage_type": "usage_date usage_family",
    "costs.by_project": "usage_date project_id project_name workspace_id workspace_name",
    "costs.by_user": "usage_date user_id user_name user_email",
    "costs.by_actor": "usage_date actor_kind actor_id actor_name",
    "costs.by_team": "usage_date team cost_center",
}
"""View -> what it adds up by, beside connection, provider, cost basis, unit and currency."""
LISTS = {"providers": "provider", "connections": "connection"}
OF_EVERYTHING = {"costs.by_model": {"models": "model"}, "costs.by_usage_type": {"usage_types": "usage_type"}}
"""Views over all connections, and what they list, beside LISTS, instead of adding up by it."""
OF_PARTS = ("costs.by_actor", "costs.by_team")
"""Those that know of parts of a bill."""
BY_KEY = (
    "connection usage_date provider source_table cost_basis native_unit currency "
    "project_id workspace_id user_id api_key_id api_key_name"
)
STATED = ("charge_category", "costs_stated")
NAMES = "project_name workspace_name user_name user_email api_key_display_name"
WHOSE = "actor_kind actor_id actor_name team cost_center"


def named(keeper: Keeper) -> list[Row]:
    """costs.daily_costs_named."""
    return list(_named(keeper, keeper.rows(DAILY)))


NAMED_IN_ROWS = {
    "focus.charges": ("project_id", "sub_account_id", "sub_account_name"),
    "litellm.user_activity": ("api_key_id", "api_key", "api_key_alias"),
    "litellm.team_activity": ("workspace_id", "team_id", "team_alias"),
    "cursor.usage_events": ("user_id", "service_account_id", "service_account_name"),
}
"""Raw table -> what its ids are called in other tables, and its columns of an id and of that id's name."""


def _names_in_rows(keeper: Keeper) -> Mapping[tuple[str, str, str], str]:
    """(kind, connection, id) -> name, where no list has them."""
    return {
        (kind, row["connection"], row[id_]): row[name]
        for table, (kind, id_, name) in NAMED_IN_ROWS.items()
        for row in keeper.rows(table)
        if row[id_] and row[name]
    }


KINDS = {
    "projects": "project_id",
    "workspaces": "workspace_id",
    **dict.fromkeys(USERS, "user_id"),
    **dict.fromkeys(KEYS, "api_key_id"),
}
"""List -> what its ids are called in other tables."""


def names(keeper: Keeper) -> Iterator[Row]:
    """costs.names: what every id was called when it was last listed."""
    for (connection, listed), items in keeper.lookups.listed.items():
        for id_, item in items.items() if listed in KINDS else ():
            yield {
                "connection": connection,
                "kind": KINDS[listed],
                "id": id_,
                **{name: item.get(name) for name in ("name", "email")},
                "is_service_account": listed == "service_accounts",
                "service_account_id": item["account"],
            }
    for (kind, connection, id_), name in _names_in_rows(keeper).items():
        is_account = kind == "user_id"
        yield {"connection": connection, "kind": kind, "id": id_, "name": name, "is_service_account": is_account}
    charges = [row for row in keeper.rows("focus.charges") if not row.get("left_out_rows")]
    for (connection,), rows in by(charges, "connection").items():
        sellers = sorted({row["service_provider_name"] for row in rows} - {None})
        of_bill = {"connection": connection, "kind": "provider", "id": "focus", "is_service_account": False}
        yield of_bill | {"name": ", ".join(sellers) or None}


def _named(keeper: Keeper, rows: Iterable[Row]) -> Iterator[Row]:
    lists, stated = keeper.lookups, _names_in_rows(keeper)
    for row in rows:
        connection, names = row["connection"], {"user_email": lists.email(row["connection"], row["user_id"])}
        for name, id_, kinds in (
            ("project_name", "project_id", SCOPES),
            ("workspace_name", "workspace_id", SCOPES),
            ("user_name", "user_id", USERS),
            ("api_key_display_name", "api_key_id", KEYS),
        ):
            listed = lists.name(connection, kinds, row[id_]) or (row["api_key_name"] if kinds is KEYS else None)
            names[name] = listed or stated.get((id_, connection, row[id_]), row[id_])
        yield row | names


def attributed(keeper: Keeper) -> list[Row]:
    """costs.allocated_costs_named."""
    of_one = "connection usage_date source_table"
    parts = by(keeper.rows(ALLOCATED), of_one)
    whole = [
        {**row, "grouped_by": None}
        for row in keeper.rows(DAILY)
        if row["cost_basis"] != "billed" or tuple(picked(row, of_one).values()) not in parts
    ]
    nothing = dict.fromkeys(("api_key_name", "usd_rate", "usd_rate_source"))
    split = [{**row, **nothing, "cost_basis": "billed"} for rows in parts.values() for row in rows]
    return [
        {**row, **actor_of(row, keeper), **owner_of(row, keeper.accounting)}
        for row in _named(keeper, ({"allocation": None, "basis": None, **row} for row in (*whole, *split)))
    ]


def counted_costs(keeper: Keeper) -> Iterator[Row]:
    """costs.counted_costs: each cost once for each unit that it counts in."""
    for row in map(identified, attributed(keeper)):
        billed = row["cost_basis"] == "billed"
        if billed and row["amount_usd"] is not None:
            yield {**row, "counted_in": "USD"}
        if billed and row["currency"] != "USD":
            yield {**row, "counted_in": row["currency"]}
        if row["cost_basis"] == "credits":
            yield {**row, "counted_in": "credits"}


def rates_used(keeper: Keeper) -> Iterator[Row]:
    """costs.rates_used: what billed amounts in other currencies were multiplied by."""
    valued = [
        {**row, "rate": row["usd_rate"], "source": row["usd_rate_source"]}
        for row in keeper.rows(DAILY)
        if row["cost_basis"] == "billed" and row["usd_rate"]
    ]
    for used, _ in grouped(valued, "connection usage_date source_table currency rate source"):
        said = picked(used, "currency usd=rate source")
        [entry] = [
            entry.said
            for entry in keeper.accounting
            if entry.table == "exchange_rate"
            and entry.speaks_of(used["usage_date"])
            and {name: entry.said.get(name) for name in said} == said
        ]
        yield {**used, "valid_from": entry["valid_from"]}


def by_key(keeper: Keeper) -> Mapping[str, list[Row]]:
    """What is stored beside costs, and the views over it: sums by what tells whom they are for."""
    parts = [{**row, "cost_basis": "billed", "api_key_name": None} for row in keeper.rows(ALLOCATED)]
    sums_of_bills, sums_of_parts = list(_by_key(keeper.rows(DAILY))), list(_by_key(parts))
    return {
        f"{DAILY}_sums": sums_of_bills,
        f"{DAILY}_by_key": sums_of_bills,
        f"{ALLOCATED}_sums": sums_of_parts,
        f"{ALLOCATED}_by_key": sums_of_parts,
        f"{DAILY}_by_key_named": list(_by_key(named(keeper), NAMES)),
        f"{ALLOCATED}_by_key_named": list(_by_key(attributed(keeper), NAMES, WHOSE)),
        f"{ALLOCATED}_of_people": (parts := of_people(keeper, attributed(keeper))),
        f"{ALLOCATED}_by_key_of_people": list(_by_key(parts, NAMES, WHOSE, "person_id person_name")),
    }


def _by_key(costs: Iterable[Row], *names: str) -> Iterator[Row]:
    lacking = dict.fromkeys((*STATED, *audit_sources.VALUED))
    for key, same in grouped(({**lacking, **row} for row in costs), BY_KEY, *STATED, *names):
        unknown = [row for row in same if row["amount_usd"] is None]
        yield {
            **key,
            **sums(same, "native_amount amount_usd", *audit_sources.VALUED),
            "rows_without_usd": len(unknown),
            "rows_of_unknown_value": len([row for row in unknown if row["native_amount"]]),
        }


def amortized(keeper: Keeper) -> Iterator[Row]:
    """costs.amortized: what is billed, and effective costs where they are stated."""
    bills = [row for row in keeper.rows(DAILY) if row["cost_basis"] == "billed"]
    for found, same in grouped(bills, "connection provider usage_date native_unit currency"):
        only_billed = [row for row in same if row.get("effective_amount") is None]
        has_rate = not any(row["native_amount"] and row["amount_usd"] is None for row in same)
        for unit, effective, name in (
            ("amount", "effective_amount", "native_amount"),
            ("usd", "effective_usd", "amount_usd"),
        ):
            amounts = [(row[name], row.get(effective)) for row in same]
            found |= {
                f"billed_{unit}": total(billed for billed, _ in amounts),
                f"amortized_{unit}": total(billed if spread is None else spread for billed, spread in amounts),
                f"only_billed_{unit}": added(only_billed, name) or Decimal(0),
            }
        yield found if has_rate else {**found, **dict.fromkeys(name for name in found if name.endswith("_usd"))}


def actor_of(row: Row, keeper: Keeper) -> Row:
    """Who a cost is for."""
    names, connection = keeper.lookups, row["connection"]
    kind, id_, name = "unknown", None, "unknown"
    if row["user_id"]:
        is_account = row["user_id"] == SERVICE_ACCOUNT_ID
        kind, id_, name = "service_account" if is_account else "person", row["user_id"], row["user_name"]
    elif account := names.account(connection, row["api_key_id"]):
        kind, id_, name = "service_account", account, names.name(connection, USERS, account) or account
    elif key := row["api_key_id"] or row["api_key_name"]:
        kind, id_, name = "api_key", key, row["api_key_display_name"]
    return {"actor_kind": kind, "actor_id": id_, "actor_name": name}


CHOSEN = ("litellm", "focus")
"""Providers whose ids of people are chosen in a connection."""


def people(keeper: Keeper) -> list[Row]:
    """costs.people: ids that share an address, or are the same id of a provider, are one person. No entry joins any."""
    listed = keeper.lookups.listed
    accounts = {(each, id_) for (each, kind), ids in listed.items() if kind == "service_accounts" for id_ in ids}
    accounts |= {
        (each, item["account"]) for (each, _), ids in listed.items() for item in ids.values() if item["account"]
    }
    in_rows = {(each, id_): name for (kind, each, id_), name in _names_in_rows(keeper).items() if kind == "user_id"}
    accounts |= in_rows.keys()
    with_users = (*keeper.rows(DAILY), *keeper.rows(ALLOCATED), *usage(keeper)["costs.usage"])
    users = {(row["connection"], row.get("user_id")) for row in with_users}
    users |= {(row["connection"], row["person"]) for row in _active_people(keeper)}
    users |= {(each, id_) for (each, kind), ids in listed.items() if kind in USERS for id_ in ids}
    found = accounts | {(connection, id_) for connection, id_ in users if id_}
    beside: defaultdict[tuple[str, str | None], set[str | None]] = defaultdict(set)
    for row in (*keeper.rows("openai.costs"), *keeper.rows("chatgpt.codex_usage")):
        beside[row["connection"], row.get("user_id")].add(row.get("user_email"))
    for connection, id_ in found:
        beside[connection, id_].add(keeper.lookups.email(connection, id_))
    rows = [_identity(keeper, each, accounts, beside[each]) for each in sorted(found)]
    for row in rows:
        row["name"] = row["name"] or in_rows.get((row["connection"], row["id"]))
    groups: list[list[Row]] = []
    for row in rows:
        near = [group for group in groups if any(row["known"] & other["known"] for other in group)]
        groups = [group for group in groups if group not in near] + [[row, *(each for group in near for each in group)]]
    for group in groups:
        group.sort(key=lambda row: (("id", "login", "address").index(row["kind"]) if row["known"] else 0, row["own"]))
        has_names = all(keeper.accounts[row["connection"]].keeps_names or not row["known"] for row in group)
        name = next((row["name"] for row in group if row["name"]), None) if has_names else None
        for row in group:
            shared = set[str]().union(*(row["known"] & other["known"] for other in group if other is not row))
            same = "same address" if any("@" in each for each in shared) else "same id" if shared else "own id"
            row["evidence"] = same if row["known"] else "service account"
            row |= {"person_id": group[0]["own"], "person_name": name or group[0]["id"]}
    return [picked(row, "connection provider kind id person_id person_name evidence") for row in rows]


def _identity(keeper: Keeper, place: tuple[str, str], accounts: Set[tuple[str, str]], beside: Set[str | None]) -> Row:
    connection, id_ = place
    provider = keeper.accounts[connection].provider
    kind = "address" if "@" in id_ else "login" if provider == "github_copilot" else "id"
    kind = "service_account" if place in accounts else kind
    is_local = provider in CHOSEN or kind == "service_account"
    own = id_ if kind == "address" else f"{connection if is_local else provider}:{id_}"
    return {
        "connection": connection,
        "provider": provider,
        "id": id_,
        "kind": kind,
        "own": own,
        "name": keeper.lookups.name(connection, USERS, id_),
        "known": {own, *filter(None, beside)} if kind != "service_account" else set(),
    }


def of_people(keeper: Keeper, rows: Iterable[Row]) -> list[Row]:
    """Costs with the person that each is for."""
    persons = {(row["connection"], row["id"]): row for row in people(keeper)}
    found = []
    for row in rows:
        actor = row["actor_id"]
        person = persons.get((row["connection"], actor)) if row["actor_kind"] != "api_key" else None
        own = {"person_id": actor and f"{row['connection']}:{actor}", "person_name": row["actor_name"]}
        found.append({**row, **{name: person[name] for name in own}} if person else {**row, **own})
    return found


def added_up(keeper: Keeper) -> Iterator[tuple[str, list[Row]]]:
    """Every view that adds costs up."""
    costs = [
        row | identity_of(row["model"])._asdict() | {"month": month_of(row["usage_date"]), "usage_family": kind_of(row)}
        for row in named(keeper)
    ]
    parts = attributed(keeper)
    for view, names in VIEWS.items():
        summed = parts if view in OF_PARTS else costs
        if view in OF_EVERYTHING:
            yield view, _summed(in_whole_units(summed), names, LISTS | OF_EVERYTHING[view])
        else:
            yield view, _summed(summed, f"connection provider {names}")
    of_persons = in_whole_units(of_people(keeper, parts))
    yield "costs.by_person", _summed(of_persons, "usage_date actor_kind person_id person_name", LISTS)


def in_whole_units(rows: Iterable[Row]) -> list[Row]:
    """Costs in the whole units of their currency. Cents are known in dollars: parts share a bill's last digits."""
    whole = {"cents": "dollars", "minor units": "major units"}
    return [
        row
        | {
            "native_unit": whole.get(row["native_unit"], row["native_unit"]),
            "native_amount": row["amount_usd"]
            if row["native_unit"] == "cents"
            else whole_units(row["native_amount"], row["native_unit"], row["currency"]),
        }
        for row in rows
    ]


def _summed(rows: Iterable[Row], keys: str, lists: Mapping[str, str] = MappingProxyType({})) -> list[Row]:
    return [
        key | _sum(same) | {each: sorted({row[one] for row in same} - {None}) for each, one in lists.items()}
        for key, same in grouped(rows, keys, "cost_basis native_unit currency")
    ]


def _sum(costs: Sequence[Row]) -> Row:
    unknown = [row for row in costs if row["amount_usd"] is None]
    is_known = not any(row["native_amount"] for row in unknown)
    dollars = added(costs, "amount_usd") if is_known else None
    return {**sums(costs, "native_amount"), "amount_usd": dollars, "rows_without_usd": len(unknown)}


# --- FOCUS ------------------------------------------------------------------------------------------------------------

COMPANIES = {
    "openai": ("OpenAI", "OpenAI API", "Project"),
    "anthropic": ("Anthropic", "Claude API", "Workspace"),
    "chatgpt": ("OpenAI", "ChatGPT Enterprise", "Workspace"),
    "focus": ("FOCUS files", "FOCUS files", "Account"),
    "github_copilot": ("GitHub", "GitHub Copilot", "Organization"),
    "cursor": ("Cursor", "Cursor", "Team"),
    "openrouter": ("OpenRouter", "OpenRouter", "Workspace"),
    "openai_legacy": ("OpenAI", "OpenAI API", "Project"),
}
DEVELOPERS = ("openai", "openai_legacy", "anthropic", "chatgpt")
"""Those that have made the models that they bill."""
UNITS = {"tokens": "Tokens", "images": "Images"}


def focus(keeper: Keeper) -> list[Row]:
    """costs.focus."""
    invoices = list(_invoiced(keeper))
    quantities, listed = _quantities(keeper), _listed(keeper)
    return [
        *(
            _charge(row, found, invoices)
            for row, found in _quantified([row for row in attributed(keeper) if _is_charged(row)], quantities, listed)
        ),
        *(_passed(row) for row in keeper.rows("focus.charges") if not row.get("left_out_rows")),
        *_corrections(keeper, invoices),
        *_purchases(keeper),
    ]


def _is_charged(row: Row) -> bool:
    """Whether a row of costs is a charge. Charges of files are in their files."""
    if row["provider"] == "focus":
        return False
    return row["cost_basis"] == "billed" or (row["cost_basis"] == "credits" and row["amount_usd"] is not None)


PASSED = """
    ProviderName=service_provider_name  x_Connection=connection  x_FirstDay=usage_date  x_Model=model
    x_NativeAmount=billed_cost  x_UsageType=usage_type
"""


def _passed(row: Row) -> Row:
    """A charge of a file, as the file states it."""
    others = dict(row["other_columns"])
    own = picked(row, "connection usage_date model usage_type tokens other_columns left_out_rows corrected_by")
    stated = {"".join(map(str.capitalize, name.split("_"))): value for name, value in row.items() if name not in own}
    columns = ("BillingAccountName", "ChargeFrequency", "PublisherName", "Tags")
    return {
        **stated,
        **{name: others.pop(name) for name in columns},
        **picked(row, PASSED),
        "BillingPeriodEnd": datetime.fromisoformat(others.pop("BillingPeriodEnd")),
        "x_CostBasis": "billed",
        "x_NativeUnit": "dollars",
        "x_OtherColumns": others,
        "x_QuantitySource": "bill",
        "x_SourceTable": "focus.charges",
    }


def whole_units(amount: Decimal, unit: str, currency: str) -> Decimal:
    """An amount in its currency's whole units."""
    digits = {"cents": 2, "minor units": MINOR_DIGITS.get(currency, 2)}.get(unit, 0)
    return times(amount, Decimal(1).scaleb(-digits))


MATCHED = ("model", "service_tier")
"""What a basis may say that a bill and its use have in common, besides day, scope, user and key."""


class Quantified(NamedTuple):
    """Who states the quantity of a charge, it and its unit; its list amount, if the bill has one; and its category."""

    source: str
    quantity: Decimal | None
    unit: str
    list_amount: Decimal | None = None
    category: str = "Usage"
    frequency: str = "Usage-Based"


def _quantified(
    rows: Sequence[Row], quantities: Mapping[tuple[Any, ...], Row], listed: Mapping[tuple[Any, ...], Decimal]
) -> Iterator[tuple[Row, Quantified]]:
    """Charges with their quantities, and with the list amounts that no quantity comes with."""
    rows = [*_counted(rows, quantities)]
    for row, found in _of_bill_or_use(rows, quantities):
        list_amount = listed.get(_bill_of(row))
        yield row, found if list_amount is None else found._replace(list_amount=_list_amount(list_amount, row))


def _of_bill_or_use(rows: Sequence[Row], quantities: Mapping[tuple[Any, ...], Row]) -> Iterator[tuple[Row, Quantified]]:
    """Charges with their quantities: the bill's, or that of the use it was split by."""
    sharing: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for n, row in enumerate(rows):
        stated, units = quantities.get(_bill_of(row)), row.get("units")
        if row["cost_basis"] == "credits":
            yield row, Quantified("bill", row["native_amount"], "Credits")
        elif stated and (units is None or stated.get("is_split")):
            yield row, _stated(stated, row)
        elif units is None:
            yield row, Quantified("none", None, "Units")
        else:
            scope = picked(row, "connection usage_date source_table project_id workspace_id user_id api_key_id basis")
            dimensions = tuple(row[name] if name in row["basis"] else None for name in MATCHED)
            sharing[(*scope.values(), *dimensions)].append(n)
    for places in sharing.values():
        unit = rows[places[0]]["allocation"].capitalize()
        if len(places) == 1:
            yield rows[places[0]], Quantified("usage", Decimal(rows[places[0]]["units"]), unit)
            continue
        order = ("line_item", "context_window", "inference_geo")
        places.sort(key=lambda n: (*((rows[n][o] is None, rows[n][o] or "") for o in order), rows[n]["native_amount"]))
        weights = [
            max(0, int(rows[n]["native_amount"].quantize(Decimal("1e-9"), ROUND_HALF_UP).scaleb(9))) for n in places
        ]
        if not sum(weights) or len({rows[n]["currency"] for n in places}) > 1:
            yield from ((rows[n], Quantified("none", None, "Units")) for n in places)
            continue
        so_far = 0
        for n, weight in zip(places, weights, strict=True):
            units = rows[n]["units"]
            part = units * (so_far + weight) // sum(weights) - units * so_far // sum(weights)
            so_far += weight
            yield rows[n], Quantified("shared usage", Decimal(part), unit)


def _counted(rows: Sequence[Row], quantities: Mapping[tuple[Any, ...], Row]) -> Iterator[Row]:
    """Charges; parts of a bill whose quantity is split with it have the units of its parts up to each one."""
    so_far: Counter[tuple[Any, ...]] = Counter()
    whose = ("user_id", "api_key_id")
    in_order = sorted(rows, key=lambda row: [(row[name] is None, row[name] or "") for name in whose])
    for row in sorted(in_order, key=lambda row: Decimal(row["native_amount"])):
        bill, units = (*_bill_of(row), row.get("all_units")), row.get("units")
        so_far[bill] += units or 0
        is_split = quantities.get(_bill_of(row), {}).get("is_split")
        yield {**row, "units_so_far": so_far[bill] if is_split else units}


BILL = "source_table connection usage_date currency project_id workspace_id line_item"


def _bill_of(row: Row) -> tuple[Any, ...]:
    """What a quantity and the bill that states it have in common. A part of a bill has a user; its bill had none."""
    whose = [row[name] if row.get("units") is None else None for name in ("user_id", "api_key_id")]
    model = None if row["source_table"] == "openai.costs" else row["model"]
    return (*picked(row, BILL).values(), *whose, model)


def _stated(stated: Row, row: Row) -> Quantified:
    """The quantity and list amount of a bill, or the share of a part of it."""
    quantity = stated["quantity"]
    if row.get("units") is not None:
        quantity = _share(quantity, row, places=9)
    found = Quantified("bill", quantity, stated["unit"], _list_amount(stated.get("list_amount"), row))
    return found._replace(**{name: stated[name] for name in ("category", "frequency") if name in stated})


def _list_amount(listed: Decimal | None, row: Row) -> Decimal | None:
    """What a charge costs before discounts, in whole units of its currency; None without a discount."""
    if listed is None or listed == row.get("billed_amount", row["native_amount"]) or listed * row["native_amount"] < 0:
        return None
    if row.get("units") is not None:
        listed = _share(listed, row, places=24)
    return whole_units(listed, row["native_unit"], row["currency"])


def _share(amount: Decimal, row: Row, places: int) -> Decimal:
    """What the parts up to this one have, less what those before it have."""

    def upto(units: int) -> Decimal:
        return Decimal(int(amount.scaleb(places, EXACT)) * units // row["all_units"]).scaleb(-places, EXACT)

    return EXACT.subtract(upto(row["units_so_far"]), upto(row["units_so_far"] - row["units"]))


def _price(cost: Decimal, quantity: Decimal) -> Decimal:
    """A price of 24 places, half up."""
    with localcontext(prec=80):
        return (cost / quantity).quantize(Decimal("1e-24"), ROUND_HALF_UP) if quantity else Decimal(0)


def _priced(cost: Decimal, quantified: Quantified, rate: Decimal | None = None) -> Row:
    """Quantities and prices of a charge. What is used of credits has a rate."""
    quantity = quantified.quantity
    listed = cost if quantified.list_amount is None else quantified.list_amount
    one = Decimal(-1 if min(cost, listed) < 0 else 1)
    consumed = one if quantity is None else quantity
    fits = quantity is not None and all(not amount or quantity * amount > 0 for amount in (cost, listed))
    has_price = rate is not None or fits
    price, list_price = (
        rate if rate is not None else _price(amount, consumed if has_price else one) for amount in (cost, listed)
    )
    in_credits = Decimal(1) if rate is not None else None
    return {
        "ChargeCategory": quantified.category,
        "ChargeFrequency": quantified.frequency,
        "ConsumedQuantity": consumed if quantified.category == "Usage" else None,
        "ConsumedUnit": quantified.unit if quantified.category == "Usage" else None,
        "PricingQuantity": consumed if has_price else one,
        "PricingUnit": quantified.unit if has_price else "Units",
        "ListCost": listed,
        "ContractedUnitPrice": price,
        "ListUnitPrice": list_price,
        "PricingCurrencyContractedUnitPrice": in_credits or price,
        "PricingCurrencyListUnitPrice": in_credits or list_price,
        "x_QuantitySource": quantified.source,
    }


def _sku(provider: str, item: str, meter: str, row: Row | None = None) -> Row:
    """What a charge is of, and all that its price depends on."""
    row = row or {}
    usage_type = row.get("usage_type")
    further = (
        None if usage_type == item else usage_type,
        *(row.get(n) for n in ("service_tier", "context_window", "inference_geo")),
    )
    parts = [(part or "").replace("%", "%25").replace("/", "%2F") for part in (item, *further)]
    model = row.get("model")
    of_tokens = usage_type if usage_type and usage_type.endswith(("input", "output", "tokens")) else None
    details = {
        **({"ModelDeveloper": COMPANIES[provider][0]} if model and provider in DEVELOPERS else {}),
        "ModelFamily": re.sub("-[0-9].*", "", model) if model else None,
        "ModelId": model,
        "x_ContextWindow": row.get("context_window"),
        "x_InferenceGeo": row.get("inference_geo"),
        "x_ServiceTier": row.get("service_tier"),
        "x_TokenType": row.get("token_type") or of_tokens,
    }
    return {
        "SkuId": f"{provider}/{item}",
        "SkuMeter": " ".join(word[:1].upper() + word[1:] for word in re.split("[ _.]+", meter)),
        "SkuPriceDetails": {name: value for name, value in details.items() if value is not None} or None,
        "SkuPriceId": "/".join((provider, *parts)).rstrip("/"),
    }


TAGS = "team cost_center project=project_name workspace=workspace_name"
OF_COST = """
    x_Allocation=allocation  x_AllocationBasis=basis  x_ApiKeyId=api_key_id  x_UserId=user_id
    x_ContextWindow=context_window  x_InferenceGeo=inference_geo  x_ServiceTier=service_tier
    x_Model=model  x_UsageType=usage_type  x_CostBasis=cost_basis  x_SourceTable=source_table
    x_NativeAmount=native_amount  x_NativeUnit=native_unit
"""


def _charge(row: Row, quantified: Quantified, invoices: Sequence[Row]) -> Row:
    is_credits = row["cost_basis"] == "credits"
    currency = row["currency"] or "USD"
    amount = row["amount_usd"] if currency == "USD" else whole_units(row["native_amount"], row["native_unit"], currency)
    cost = row["amount_usd"] if is_credits else amount
    scope = row["project_id"] or row["workspace_id"]
    codex = "Codex" if row["source_table"] == "chatgpt.codex_usage" else None
    item = row["model"] or row["usage_type"] or row["line_item"] or codex or "Other use"
    billed_on = next(
        (i["id"] for i in invoices if not is_credits and _is_of(i, row, row["usage_date"], currency)), None
    )
    return {
        **_frame(row["connection"], row["provider"], row["usage_date"], row["usage_date"] + DAY, currency),
        "ChargeDescription": row["line_item"]
        or ", ".join(filter(None, (row["model"], row["usage_type"])))
        or codex
        or "Use that is not itemized",
        "BilledCost": Decimal(0) if is_credits else amount,
        **dict.fromkeys(("ContractedCost", "EffectiveCost"), cost),
        "PricingCurrency": "Credits" if is_credits else currency,
        "PricingCurrencyEffectiveCost": row["native_amount"] if is_credits else cost,
        **_priced(cost, quantified, row["usd_rate"] if is_credits else None),
        **_sku(row["provider"], item, row["usage_type"] or ("credits" if is_credits else "usage"), row),
        "SubAccountId": scope,
        "SubAccountName": row["project_name"] if row["project_id"] else row["workspace_name"],
        "SubAccountType": COMPANIES[row["provider"]][2] if scope else None,
        "Tags": {name: value for name, value in picked(row, TAGS).items() if value is not None},
        **picked(row, OF_COST),
        "x_TagShares": None,
        **dict.fromkeys(("InvoiceId", "x_InvoiceId"), billed_on),
        "x_UsdPerCredit": row["usd_rate"] if is_credits else None,
        "x_UsdPerCreditSource": row["usd_rate_source"] if is_credits else None,
    }


def _frame(connection: str, provider: str, first: date, after: date, currency: str) -> Row:
    company, service, _ = COMPANIES[provider]
    return {
        **dict.fromkeys(("x_Connection", "BillingAccountId", "BillingAccountName"), connection),
        **dict.fromkeys(("ProviderName", "PublisherName", "InvoiceIssuerName"), company),
        **dict.fromkeys(("ServiceProviderName", "HostProviderName"), company),
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "BillingCurrency": currency,
        "BillingPeriodStart": midnight(month_of(first)),
        "BillingPeriodEnd": midnight(next_month(first)),
        "ChargePeriodStart": midnight(first),
        "x_FirstDay": first,
        "ChargePeriodEnd": midnight(after),
        "ServiceName": service,
    }


NOBODY = dict.fromkeys(("project_id", "workspace_id", "user_id", "api_key_id", "model"))


def _of_line_items(row: Row) -> Row:
    return {**NOBODY, **row, "currency": row["amount_currency"].upper(), "unit": UNITS.get(row["quantity_unit"])}


def _of_events(row: Row) -> Row | None:
    """Requests that are billed: tokens are no quantity of the whole charge."""
    if row["charge"] != "billed":
        return None
    line_item = f"{row['model']}, {row['kind']}"
    actor = row["service_account_id"] or row["user_id"]
    return {**NOBODY, **row, "user_id": actor, "line_item": line_item, "quantity": row["events"], "unit": "Requests"}


def _of_sku(row: Row) -> Row:
    return {**NOBODY, "line_item": f"{row['product']}, {row['sku']}", "list": row["gross_amount"]}


def _of_seats(row: Row) -> Row | None:
    if (row["product"], row["unit_type"]) != ("Copilot", "user-months"):
        return None
    bought = {"category": "Purchase", "frequency": "Recurring"}
    return {**_of_sku(row), "quantity": row["quantity"], "unit": "User-Months", **bought}


def _of_metered(unit: str) -> Callable[[Row], Row]:
    """What is used, the part included that the plan covers; the bill and its quantity are split among people."""

    def metered(row: Row) -> Row:
        used = {"quantity": row["gross_quantity"], "unit": unit, "is_split": True}
        return {**_of_sku(row), "model": row["model"], **used}

    return metered


QUANTITIES = {
    "openai.costs": _of_line_items,
    "cursor.usage_events": _of_events,
    "github_copilot.billing_usage": _of_seats,
    "github_copilot.ai_credits": _of_metered("Credits"),
    "github_copilot.premium_requests": _of_metered("Requests"),
}
"""Raw table -> what a row of a bill states of its quantity."""


def _quantities(keeper: Keeper) -> Mapping[tuple[Any, ...], Row]:
    found = {}
    for table, quantity in QUANTITIES.items():
        source = {"source_table": table, "currency": "USD"}
        rows = [
            {**source, **stated, **picked(row, "connection usage_date")}
            for row in keeper.rows(table)
            if (stated := quantity(row)) and not keeper.is_ahead(table, row["connection"], row["usage_date"])
        ]
        groups: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in rows:
            groups[_bill_of({**row, "units": None})].append(row)
        for key, same in groups.items():
            [unit, *others] = {row["unit"] for row in same}
            if unit and not others:
                found[key] = {
                    **same[0],
                    "quantity": Decimal(added(same, "quantity")),
                    "list_amount": total(row.get("list") for row in same),
                }
    return found


KIND = "workspace_id model cost_type token_type service_tier"
"""What Anthropic's bill and its newer report of costs both tell of."""
MILLIONTH = Decimal("1e-6")


def _listed(keeper: Keeper) -> Mapping[tuple[Any, ...], Decimal]:
    """Bills of Anthropic with a discount -> cents at list price, as the newer report of the same organization has them.

    That report knows no line items: what it lists of a kind is shared by the bills of that kind.
    """
    found: dict[tuple[Any, ...], Decimal] = {}
    bills = "anthropic.cost_report"
    reports = by(keeper.rows("anthropic_analytics.cost"), "usage_date currency")
    for place, rows in grouped(keeper.rows(bills), "connection usage_date currency"):
        connection, day, currency = place.values()
        if keeper.is_ahead(bills, connection, day):
            continue
        for report in by(reports.get((day, currency), ()), "connection").values():
            if added(rows, "amount_cents") and _say_the_same(rows, report):
                for (workspace, item, model), listed in _list_prices(rows, report):
                    bill = {**NOBODY, **place, "workspace_id": workspace, "line_item": item, "model": model}
                    found[_bill_of({**bill, "source_table": bills})] = listed
    return found


def _say_the_same(bills: Sequence[Row], report: Sequence[Row]) -> bool:
    """Whether both cost as much, but for a millionth of a cent a row."""
    one, other = (added(rows, "amount_cents") or Decimal(0) for rows in (bills, report))
    return bool(abs(EXACT.subtract(one, other)) <= (len(bills) + len(report)) * MILLIONTH)


def _list_prices(bills: Sequence[Row], report: Sequence[Row]) -> Iterator[tuple[tuple[Any, ...], Decimal]]:
    """Yield workspace, line item and model of a day's bills with a discount, and what they cost at list price."""
    of_kind = by(bills, KIND)
    workspaces = {workspace for workspace, *_ in of_kind}
    reported: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in report:
        workspace = row["workspace_id"] if row["workspace_id"] in workspaces else None
        # a bill may tell neither of models nor of tiers, and then is of all of them
        kinds = (
            (workspace, model, row["cost_type"], row["token_type"], tier)
            for model in dict.fromkeys((row["model"], None))
            for tier in dict.fromkeys((row["service_tier"], None))
        )
        if kind := next(filter(of_kind.__contains__, kinds), None):
            reported[kind].append(row)
    rows_of = Counter(map(itemgetter("workspace_id", "description", "model"), bills))
    for kind, rows in reported.items():
        paid, listed = sums(rows, "amount_cents list_amount_cents").values()
        sharing = sorted(of_kind[kind], key=_order_of_bills)
        weights = [int(abs(row["amount_cents"]).quantize(Decimal("1e-9"), ROUND_HALF_UP).scaleb(9)) for row in sharing]
        if paid == listed or not sum(weights) or not _say_the_same(sharing, rows):
            continue
        places, so_far = int(listed.scaleb(24, EXACT)), 0
        for row, weight in zip(sharing, weights, strict=True):
            part = places * (so_far + weight) // sum(weights) - places * so_far // sum(weights)
            so_far += weight
            line_item = row["workspace_id"], row["description"], row["model"]
            if rows_of[line_item] == 1:
                yield line_item, Decimal(part).scaleb(-24, EXACT)


def _order_of_bills(row: Row) -> tuple[Any, ...]:
    texts = (row["description"], row["context_window"], row["inference_geo"])
    return row["amount_cents"], *((text is None, text or "") for text in texts)


def _invoiced(keeper: Keeper) -> Iterator[Row]:
    stated = [
        {"currency": "USD", "issued": None, **entry.said} for entry in keeper.accounting if entry.table == "invoice"
    ]
    for of_month, same in grouped(stated, "connection month currency"):
        first = date.fromisoformat(f"{of_month['month']}-01")
        days = keeper.settling_days(of_month["connection"])
        since = [i["issued"] + DAY if i["issued"] else next_month(first) + days * DAY for i in same]
        yield {
            **of_month,
            "month": first,
            "id": same[0]["id"] if len(same) == 1 else None,
            "changed_since": midnight(min(since)),
        }


def _is_of(invoice: Row, row: Row, day: date, currency: str) -> bool:
    wanted = {"connection": row["connection"], "month": month_of(day), "currency": currency}
    return picked(invoice, "connection month currency") == wanted


def _currency_of(name: str, unit: str) -> tuple[str, str] | None:
    return (name.removeprefix("amount_").upper(), unit) if name.startswith("amount_") else None


def _in_dollars(units: Mapping[str, str]) -> Callable[[str], tuple[str, str] | None]:
    return lambda name: ("USD", units[name]) if name in units else None


MONEY: Mapping[str, Callable[[str], tuple[str, str] | None]] = {
    "openai.costs": lambda name: ("USD", "dollars") if name == "amount_usd" else _currency_of(name, "major units"),
    "anthropic.cost_report": lambda name: (
        ("USD", "cents") if name == "amount_cents" else _currency_of(name, "minor units")
    ),
    "chatgpt.codex_usage": lambda name: ("USD", "dollars") if name == "cost_usd" else None,
    **{table: _in_dollars(units) for table, units in audit_sources.USD_TOTALS.items()},
}
"""Raw table of what is billed -> currency and unit of a total, where it is one of money."""


def _corrections(keeper: Keeper, invoices: Sequence[Row]) -> Iterator[Row]:
    for line in keeper.restatements:
        table, name = line["table_name"], line.get("total")
        if table == "focus.charges" or table not in MONEY or not name or not (money := MONEY[table](name)):
            continue
        if keeper.is_ahead(table, line["connection"], line["usage_date"], line["version"]):
            continue
        currency, unit = money
        for invoice in invoices:
            if not _is_of(invoice, line, line["usage_date"], currency) or line["found_at"] < invoice["changed_since"]:
                continue
            day = line["usage_date"]
            said = f" of {table}, version {line['version']}, found {line['found_at'].date()}"
            for kind, sign, words in (
                (None, -1, "As invoiced: without the correction"),
                ("Correction", 1, "Correction"),
            ):
                native = sign * line["difference"]
                amount = whole_units(native, unit, currency)
                provider = keeper.accounts[line["connection"]].provider
                yield {
                    **_frame(line["connection"], provider, day, day + DAY, currency),
                    "ChargeCategory": "Usage",
                    "ChargeClass": kind,
                    "ChargeDescription": words + said,
                    "ChargeFrequency": "Usage-Based",
                    **dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), amount),
                    "PricingCurrency": currency,
                    "PricingCurrencyEffectiveCost": amount,
                    **_priced(amount, Quantified("none", None, "Units")),
                    **_sku(provider, "Correction", "correction"),
                    "x_CostBasis": "billed",
                    **dict.fromkeys(("InvoiceId", "x_InvoiceId"), None if kind else invoice["id"]),
                    "x_NativeAmount": native,
                    "x_NativeUnit": unit,
                    "x_SourceTable": table,
                }


def _purchases(keeper: Keeper) -> Iterator[Row]:
    for said in (entry.said for entry in keeper.accounting if entry.table == "purchase"):
        currency, first = said.get("currency", "USD"), said["valid_from"]
        last = said.get("valid_until")
        amount, is_credits = Decimal(said["amount"]), said["kind"] == "credits"
        effective = Decimal(0) if is_credits else amount
        after = last + DAY if last else next_month(first)
        provider, unit = keeper.accounts[said["connection"]].provider, "Credits" if is_credits else "Seats"
        yield {
            **_frame(said["connection"], provider, first, after, currency),
            **_priced(amount, Quantified("connections file", Decimal(said["quantity"]), unit)),
            **_sku(provider, unit, unit),
            **dict.fromkeys(("ConsumedQuantity", "ConsumedUnit")),
            "ChargeCategory": "Purchase",
            "ChargeDescription": f"Purchase of {said['kind']}, {said['id']}",
            "ChargeFrequency": "One-Time",
            **dict.fromkeys(("BilledCost", "ContractedCost", "ListCost"), amount),
            "EffectiveCost": effective,
            "PricingCurrency": currency,
            "PricingCurrencyEffectiveCost": effective,
            "x_CostBasis": f"purchase of {said['kind']}",
            **dict.fromkeys(("InvoiceId", "x_InvoiceId"), said["id"]),
            "x_NativeAmount": amount,
            "x_NativeUnit": "dollars" if currency == "USD" else "major units",
            "x_SourceTable": "accounting.purchases",
        }


def left_out(keeper: Keeper) -> list[Row]:
    """costs.focus_left_out: credits without a rate."""
    missing = [r for r in keeper.rows(DAILY) if r["cost_basis"] == "credits" and r["amount_usd"] is None]
    why = {"reason": "credits without a rate", "native_unit": "credits"}
    return [
        {**of_day, **why, "row_count": len(same), **sums(same, "native_amount")}
        for of_day, same in grouped(missing, "connection usage_date")
    ]


LEFT_OUT = """
    connection  usage_date  product=service_name  currency=billing_currency  row_count=left_out_rows
    amount=billed_cost  effective_amount=effective_cost
"""


def products_left_out(keeper: Keeper) -> list[Row]:
    """costs.left_out: services of clouds that are not taken, and GitHub's products that are no AI."""
    services = [
        {
            **picked(row, LEFT_OUT),
            "provider": "focus",
            "reason": "a service that the connection does not take",
            "is_unknown": False,
        }
        for row in keeper.rows("focus.charges")
        if row["left_out_rows"]
    ]
    others = [
        {**row, "product": f"{row['product']}, {row['sku']}"}
        for row in keeper.rows("github_copilot.billing_usage")
        if row["product"] != "Copilot"
    ]
    return services + [
        {
            **of_product,
            "provider": "github_copilot",
            "currency": "USD",
            "row_count": len(same),
            "amount": added(same, "net_amount"),
            "reason": "no AI product",
            "is_unknown": False,
        }
        for of_product, same in grouped(others, "connection usage_date product")
    ]


# --- Usage ------------------------------------------------------------------------------------------------------------


def usage(keeper: Keeper) -> Mapping[str, list[Row]]:
    """costs.usage, and its sums."""
    used = [
        {**picked(row, "connection usage_date"), "provider": table.partition(".")[0], **counts}
        for table, counts_of in audit_sources.USAGE.items()
        for rows in by(keeper.rows(table), "connection usage_date").values()
        for row in (counted(rows) if table == "chatgpt.codex_usage" else rows)
        if (counts := counts_of(row))
    ]
    tokens = "input_tokens cached_input_tokens cache_write_tokens cache_write_1h_tokens output_tokens"
    keys, tiers = "connection provider usage_date model", "service_tier context_window"
    meters = [row for row in used if row["provider"] == "focus"]
    used = [row for row in used if row["provider"] != "focus"] + [
        key | sums(same, tokens) for key, same in grouped(meters, keys, "project_id")
    ]
    lacking = dict.fromkeys(f"{keys} {tiers} requests {tokens}".split())
    of_models = [lacking | row for row in used if all(row.get(name) is None for name in ("usage_bytes", "sessions"))]
    by_model = [identified(key | sums(same, "requests", tokens)) for key, same in grouped(of_models, keys)]
    billed = [
        row
        for row in of_models
        if row["model"] and row.get("is_billed") is not False
        if all(row.get(name) is None for name in ("images", "characters", "seconds"))
    ]
    by_tier = [key | sums(same, tokens) | {"is_whole": _is_whole(same)} for key, same in grouped(billed, keys, tiers)]
    return {"costs.usage": used, "costs.usage_by_model": by_model, "costs.usage_by_tier": by_tier}


def _is_whole(rows: Sequence[Row]) -> bool:
    def stated(name: str) -> set[bool]:
        return {row[name] is not None for row in rows}

    return stated("input_tokens") == stated("output_tokens") == {True} and all(
        len(stated(name)) == 1 for name in ("cached_input_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    )


OF_PEOPLE = {
    "chatgpt.codex_usage": "user_id",
    "cursor.daily_usage": "user_id",
    "github_copilot.users_1_day": "user_login",
}
"""Report of people -> its column of them."""


def active_people(keeper: Keeper) -> Iterator[Row]:
    """costs.active_people: the ids that reports name, and whose they are."""
    persons = {(row["connection"], row["id"]): row["person_id"] for row in people(keeper)}
    for row in _active_people(keeper):
        yield row | {"person_id": persons.get((row["connection"], row["person"]))}


def _active_people(keeper: Keeper) -> Iterator[Row]:
    """Whom each report names on a day; nobody of a day on which it names none."""
    people: dict[tuple[Any, ...], set[str | None]] = {}
    for (table, _, connection, day), stored in keeper.days.items():
        if column := OF_PEOPLE.get(table):
            found = {row[column] for row in stored.rows if row.get("is_active", True)}
            people[connection, day, table, table, None] = found
        if table == "anthropic.claude_code":
            of_api = by(({**row, "is_api": row["customer_type"] == "api"} for row in stored.rows), "is_api")
            for is_api, basis in ((True, "estimated"), (False, "notional")):
                found = {row["actor_email"] for row in of_api.get((is_api,), ())}
                people[connection, day, table, table, basis] = found
        if table.startswith("openai.usage_"):
            users = {row.get("user_id") for row in stored.rows if table in audit_sources.USAGE}
            users -= {*keeper.lookups.listed[connection, "service_accounts"]}
            people.setdefault((connection, day, "openai.usage_*", None, None), set()).update(users)
    for (connection, day, source, costs, basis), found in people.items():
        for person in found - {None} or {None}:
            yield {
                "connection": connection,
                "usage_date": day,
                "provider": keeper.accounts[connection].provider,
                "source": source,
                "cost_source": costs if basis else None,
                "cost_basis": basis,
                "person": person,
            }


def gateways_and_bills(keeper: Keeper) -> list[Row]:
    """costs.gateways_and_bills: what the proxy takes a model's use for, beside each bill of that model and day."""
    costs = [{**row, "called": identity_of(row["model"]).family} for row in keeper.rows(DAILY) if row["model"]]
    estimates = by((row for row in costs if row["provider"] == "litellm"), "connection usage_date called")
    bills = by((row for row in costs if row["cost_basis"] == "billed"), "usage_date called provider")
    pairs = []
    for (connection, day, model), estimated in estimates.items():
        for (billed_on, billed_model, provider), billed in bills.items():
            if (billed_on, billed_model) == (day, model):
                estimate, bill = (added(rows, "amount_usd") for rows in (estimated, billed))
                if any(row["amount_usd"] is None and row["native_amount"] for row in billed):
                    bill = None  # a part of it is in a currency without a rate
                pairs.append(
                    {
                        "connection": connection,
                        "usage_date": day,
                        "model": model,
                        "billed_by": provider,
                        "estimated_usd": estimate,
                        "billed_usd": bill,
                        "difference_usd": None if bill is None else total((estimate, -bill)),
                    }
                )
    return pairs


# --- What the connections file states ---------------------------------------------------------------------------------


def stated(keeper: Keeper) -> dict[str, list[Row]]:
    """The tables accounting.*."""
    tables: defaultdict[str, list[Row]] = defaultdict(list)
    for entry in keeper.accounting:
        if entry.table == "budget":
            name, since = entry.said["name"], entry.said.get("valid_from", EVER)
            tables["accounting.budget_thresholds"] += [
                {"name": name, "valid_from": since, "threshold": share}
                for share in entry.said.get("thresholds", THRESHOLDS)
            ]
        if entry.table != "metric":
            tables[f"accounting.{entry.table}s"].append(_stored(entry.table, dict(entry.said)))
    return tables


def budgets_without_limits(keeper: Keeper) -> list[Row]:
    """costs.budgets_and_limits: budgets that are valid today, by DuckDB's clock, which no test moves; no limits."""
    today = time_machine.escape_hatch.datetime.datetime.now(UTC).date()
    budgets = (entry for entry in keeper.accounting if entry.table == "budget" and entry.speaks_of(today))
    rows = (_stored("budget", dict(entry.said)) for entry in budgets)
    return [picked(row, "scope_type scope_id currency period budget=name budget_amount=amount") for row in rows]


EVER = date(1970, 1, 1)
THRESHOLDS = (Decimal("0.5"), Decimal("0.8"), Decimal(1))
SCOPED = ("connection", "team", "project", "workspace", "user", "model", "api_key")


def scope_of(said: Mapping[str, Any]) -> tuple[str, str | None]:
    """What a budget or guardrail is about: its kind, and its name or id."""
    return next(((kind, said[kind]) for kind in SCOPED if kind in said), ("all", None))


def _stored(table: str, said: Row) -> Row:
    match table:
        case "credit_rate":
            return {**said, "workspace": None, "workspace_id": said["workspace"]}
        case "exchange_rate":
            return {**said, "minor_digits": MINOR_DIGITS[said["currency"]]}
        case "owner":
            kind = next(kind for kind in ("api_key", "user", "project", "workspace") if kind in said)
            return {"valid_from": EVER, **said, kind: None, "kind": kind, "id": said[kind]}
        case "budget" | "guardrail":
            scope, id_ = scope_of(said)
            stated = {"valid_from": EVER, **said, scope: None, "thresholds": None, "credits": None}
            stated |= {"scope_type": scope, "scope_id": id_}
            if table == "budget":
                currency = None if "credits" in said else said.get("currency", "USD")
                amount = said.get("amount", said.get("credits"))
                stated |= {"period": said.get("period", "month"), "currency": currency, "amount": amount}
            return stated
        case "what_if":
            model = {"to_provider": said["provider"], "to_model": said.get("to", said["model"])}
            return {**said, "to": None, **model}
        case "invoice":
            return {"currency": "USD", **said, "month": date.fromisoformat(f"{said['month']}-01")}
    return {"currency": "USD", **said}
