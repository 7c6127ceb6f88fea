"""What happens in the audit: two organizations, days that are fetched as they close, and what changes meanwhile.

Each change is made to a sandbox over /control and to a copy of its books. What must stand after it: audit_books.py.
"""

import os
import tomllib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import httpx
import time_machine

from usage_assets.assets.warehouse_resource import WarehouseResource
from usage_assets.automation.due_runs import RUN_KEY_TAG
from usage_assets.automation.jobs import (
    ACCOUNTING_JOB,
    CONNECTION_TAG,
    PORT_SYNC_JOB,
    RANGE_END,
    RANGE_START,
    USAGE_JOB,
)
from usage_assets.build import build_definitions
from usage_assets.cli.backfill_runs import BackfillPlan, RunPlan
from usage_assets.cli.progress import AssetProgress
from usage_assets.config.accounting import Accounting
from usage_assets.config.settings import Settings
from usage_assets.core.days import DAY, Window
from usage_assets.models.connection_graph import graph_of, seeds_of
from usage_assets.models.model import money_seed
from usage_assets.providers import PROVIDERS
from usage_assets_report_tests.end_to_end.audit_books import MINOR_DIGITS, Account, Bills, Dated, Keeper, Key
from usage_assets_report_tests.end_to_end.audit_sums import DAILY, by, midnight, total
from usage_assets_report_tests.end_to_end.audit_views import whole_units
from usage_assets_sandbox.company_github_copilot import CREDITS_SINCE
from usage_assets_sandbox.control import DEFAULT_SEED
from usage_assets_sandbox.credentials import (
    ANTHROPIC_ADMIN_KEY,
    ANTHROPIC_PARENT_KEY,
    CHATGPT_ANALYTICS_KEY,
    CHATGPT_WORKSPACE_ID,
    COPILOT_ORGANIZATION,
    COPILOT_TOKEN,
    CURSOR_API_KEY,
    LITELLM_MASTER_KEY,
    OPENAI_ADMIN_KEY,
    OPENAI_SESSION_KEY,
    OPENROUTER_MANAGEMENT_KEY,
)
from usage_assets_sandbox.directory import Directory
from usage_assets_sandbox.ledger import Clock, Ledger
from usage_assets_sandbox.providers import BOOKS
from usage_assets_sandbox.providers.anthropic_engagement import PATHS, latest_day
from usage_assets_tests.end_to_end.conftest import Project, lose, open_project, sandbox_environment, settings_of
from usage_assets_tests.end_to_end.test_refusals import failures
from usage_assets_tests.fixtures import NO_KEYS, Sandbox, running_sandbox
from usage_assets_tests.models.days import lines, one_a_line

FIRST = date(2025, 12, 26)
"""In the next two weeks a month ends, Anthropic's newer reports begin, and costs begin to be told by API key: also of
few days the audit has all."""
WEEK, MONTHS = 7, 60
SHORT = 2 * WEEK + 1
COUNT = int(os.environ.get("USAGE_AUDIT_DAYS", SHORT))
assert COUNT == SHORT or COUNT > SHORT + WEEK, f"USAGE_AUDIT_DAYS: {SHORT}, or more than {SHORT + WEEK}"
DAYS = [FIRST + n * DAY for n in range(COUNT)]
LAST = DAYS[-1]
OTHER_SEED = 26
CLOSED = FIRST + timedelta(days=WEEK + 1)
"""The first days are stored, and their month is over."""
KEYS_SINCE = FIRST + timedelta(days=SHORT - 2)
"""The first day of which costs are told by API key: the sandboxes refuse it for the days before."""
ENTITIES_OF_REPORTS = {
    "claude_ai_user_activity": "users",
    "claude_ai_user_usage": "user_usage_report",
    "claude_ai_user_cost": "user_cost_report",
    "claude_ai_skill_usage": "skills",
}
"""Entities of one report -> the report: where it lacks a day, so do they."""
NEWER_SINCE = date(2026, 1, 1)
"""The first day that Anthropic's newer reports have."""
SWITCH = FIRST + 3 * DAY
"""The last day of rates and owners that change."""
FEW = ("costs", "usage_completions")
"""What is fetched of the second OpenAI organization: the first has everything."""


class Source(NamedTuple):
    """A connection of the story: which organization it shows, where it asks, and what else its entry says."""

    name: str
    provider: str
    path: str = ""
    key: str = ""
    said: str = ""
    organization: int = 0
    keeps_names: bool = False
    endpoints: Sequence[str] = ()

    def entry(self, folder: Path, address: str) -> str:
        """Its entry in the connections file."""
        access = f'files = "{folder / BILLS}"'
        if self.key:
            file = folder / f"{self.provider}.key"
            file.write_text(self.key)
            access = f'key = "file:{file}"\nbase_url = "{address}/{self.path}"\nrequests_per_second = 1000'
        return f'[[connection]]\nname = "{self.name}"\nprovider = "{self.provider}"\n{access}\n{self.said}\n'


BILLS = "bills"
SWITCHES = ", ".join(f"{e.name} = {str(e.name in FEW).lower()}" for e in PROVIDERS["openai"].endpoints)
REPORTS = tuple(endpoint.name for endpoint in PROVIDERS["anthropic_analytics"].endpoints)
SOURCES = (
    Source("openai", "openai", "openai/v1", OPENAI_ADMIN_KEY, "endpoints = { usage_decisions = true }"),
    Source(
        "openai_emea",
        "openai",
        "openai/v1",
        OPENAI_ADMIN_KEY,
        f'people = "names"\nendpoints = {{ {SWITCHES} }}',
        organization=1,
        keeps_names=True,
        endpoints=FEW,
    ),
    Source("anthropic", "anthropic", "anthropic", ANTHROPIC_ADMIN_KEY, 'organization = "robotics"'),
    Source(
        "anthropic_labs",
        "anthropic",
        "anthropic",
        ANTHROPIC_ADMIN_KEY,
        'organization = "labs"\nendpoints = { usage_messages = false, claude_code = false }',
        organization=1,
        endpoints=("cost_report",),
    ),
    Source("chatgpt", "chatgpt", "chatgpt", CHATGPT_ANALYTICS_KEY, f'workspace_id = "{CHATGPT_WORKSPACE_ID}"'),
    Source("cloud", "focus", said=f"start_date = {FIRST}"),
    Source("copilot", "github_copilot", "github_copilot", COPILOT_TOKEN, f'organization = "{COPILOT_ORGANIZATION}"'),
    Source("editor", "cursor", "cursor", CURSOR_API_KEY),
    Source("gateway", "litellm", "litellm", LITELLM_MASTER_KEY),
    Source("router", "openrouter", "openrouter", OPENROUTER_MANAGEMENT_KEY),
    Source(
        "claude",
        "anthropic_analytics",
        "anthropic",
        ANTHROPIC_PARENT_KEY,
        f'organization = "robotics"\nendpoints = {{ {", ".join(f"{name} = true" for name in REPORTS)} }}',
        endpoints=REPORTS,
    ),
    Source("legacy", "openai_legacy", "openai/v1", OPENAI_SESSION_KEY, 'organization = "org-acquired"', organization=1),
)
ORGANIZATION = {source.name: source.organization for source in SOURCES}


@dataclass
class Organization:
    """A company of a sandbox, and a copy of its books and lists that is told of all that the sandbox is told of."""

    sandbox: Sandbox
    ledger: Ledger
    directory: Directory
    bills: Bills = field(default_factory=lambda: Bills(Path()))
    changed: set[tuple[str, date]] = field(default_factory=set)
    """Providers' days that were restated or billed in another currency."""

    @classmethod
    def at(cls, sandbox: Sandbox, seed: int, folder: Path = Path()) -> "Organization":
        """The company of a seed, whose books are open from the first day of the audit to its end."""
        clock = Clock(datetime.combine(LAST, time(12), UTC))
        return cls(sandbox, Ledger(seed, clock, BOOKS), Directory(seed, clock), Bills(folder / BILLS))

    def rows(self, name: str, day: date) -> list[dict[str, Any]]:
        """What the books have of an endpoint, such as ``openai/costs``, and a day."""
        provider, endpoint = name.split("/")
        return self.ledger.rows(provider, endpoint, day)

    def restate(self, name: str, day: date, change: str, factor: int = 2) -> None:
        """Change a day."""
        provider, endpoint = name.split("/")
        what = {"provider": provider, "endpoint": endpoint, "days": [str(day)], "change": change, "factor": factor}
        self.changed.add((provider, day))
        answer = self.sandbox.control("POST", "restate", what)
        assert answer["changed"][endpoint] == {str(day): self.ledger.restate(provider, endpoint, day, change, factor)}
        if provider == "focus":
            self.deliver(self.bills.until)

    def deliver(self, until: date) -> None:
        """Have the cloud write its bills again, of all days until this one."""
        what = {"folder": str(self.bills.folder), "start": str(FIRST), "end": str(until)}
        assert self.sandbox.control("POST", "bills", what)["files"]
        self.bills.until = until

    def bill(self, provider: str, days: Sequence[date], currency: str, third: int) -> None:
        """Let a third of the costs of days be in a currency."""
        what = {"provider": provider, "days": [*map(str, days)], "currency": currency, "third": third}
        self.changed |= {(provider, day) for day in days}
        answer = self.sandbox.control("POST", "currency", what)
        assert answer["changed"] == {str(day): self.ledger.bill(provider, day, currency, third) for day in days}

    def change(self, provider: str, listed: str, position: int, change: str, name: str | None = None) -> None:
        """Change an item of a list."""
        item = self.directory.lists[provider][listed][position]["id"]
        what = {"provider": provider, "list": listed, "item": item, "change": change}
        self.sandbox.control("POST", "directory", what | ({"name": name} if name else {}))
        self.directory.change(provider, listed, item, change, name)


@dataclass
class Story:
    """The product, the organizations that it asks, and what must be stored of them."""

    project: Project
    organizations: tuple[Organization, Organization]
    keeper: Keeper
    connections: str
    environment: Mapping[str, str]
    travel: time_machine.Traveller
    now: datetime
    tables: Mapping[dg.AssetKey, Collection[tuple[str, str]]]
    """Asset -> the parts of tables that it writes."""
    cursor: str | None = None
    """Of the due sensor."""
    refused: set[dg.AssetKey] = field(default_factory=set)
    """What its provider refuses when it is fetched next."""
    late: dict[tuple[dg.AssetKey, date], datetime] = field(default_factory=dict)
    """Days that a report did not have, and when it was asked for them last."""

    def move_to(self, moment: datetime) -> None:
        """Let it be this moment everywhere."""
        for organization in self.organizations:
            organization.sandbox.control("POST", "clock", {"now": moment.isoformat()})
        if self.organizations[0].bills.until != moment.date():
            self.organizations[0].deliver(moment.date())
        self.travel.move_to(moment, tick=False)
        self.now = moment

    def wait(self) -> None:
        """Let a minute go by."""
        self.move_to(self.now + timedelta(minutes=1))

    def look_up(self, *connections: str) -> None:
        """List what ids stand for."""
        for connection in connections:
            assert self.project.look_up(connection).success
            account = self.keeper.accounts[connection]
            organization = self.organizations[ORGANIZATION[connection]]
            self.keeper.lookups.note(account, organization.directory.lists[account.provider])
        self.wait()

    def fetch(self, connection: str, days: Sequence[date], *assets: str) -> None:
        """Fetch days, as a person or a schedule does; ``assets`` alone, where some are named."""
        if days := self.served(connection, days):
            keys = {dg.AssetKey([connection, name]) for name in assets}
            keys = keys or {key for key in self.tables if key.path[0] == connection}
            self.note(connection, keys, days, self.project.fetch(connection, days, *assets))

    def note(
        self, connection: str, keys: Collection[dg.AssetKey], days: Sequence[date], result: dg.ExecuteInProcessResult
    ) -> None:
        """A run has written assets, but for those whose reports were refused, and for days that are to come."""
        lacking, self.refused = self.refused & {*keys}, self.refused - {*keys}
        assert failures(result).keys() == {key.to_python_identifier() for key in lacking}
        for day in days:
            late = {key for key in keys if self.is_to_come(key, day)}
            self.late |= dict.fromkeys(
                ((key, day) for key in late if key.path[-1] not in ENTITIES_OF_REPORTS), self.now
            )
            absent = lacking | late | {key for key in keys if _report_of(key) in {_report_of(each) for each in lacking}}
            self.keeper.written(connection, [day], self.now, result.run_id, self.parts({*keys} - absent))

    def is_to_come(self, key: dg.AssetKey, day: date) -> bool:
        """Whether an asset is a report that does not have a day yet."""
        report = _report_of(key)
        is_late = self.keeper.accounts[key.path[0]].provider == "anthropic_analytics" and report in PATHS
        return is_late and day > latest_day(report, self.now)

    def behind(self) -> set[Key]:
        """The days that are not what they would be now, but for those of reports that do not have them yet."""
        wrote = {part: key for key, parts in self.tables.items() if len(parts) == 1 for part in parts}
        return {
            key
            for key in self.keeper.behind()
            if (asset := wrote.get(key[:2])) is None or not self.is_to_come(asset, key[3])
        }

    def refuse(self, connection: str, asset: str, route: str) -> None:
        """Let a provider refuse an asset once."""
        self.refused.add(dg.AssetKey([connection, asset]))
        self.organizations[ORGANIZATION[connection]].sandbox.refuse(route, 403, calls=[1])

    def served(self, connection: str, days: Sequence[date]) -> list[date]:
        """Those of days that the provider serves."""
        provider = PROVIDERS[self.keeper.accounts[connection].provider]
        first = self.now.date() - timedelta(days=provider.lookback_days or 10**5)
        return [day for day in days if day >= max(first, provider.first_day or first)]

    def parts(self, keys: Iterable[dg.AssetKey]) -> set[tuple[str, str]]:
        """The parts of tables that some assets write."""
        return {part for key in keys for part in self.tables[key]}

    def fetch_all(self, days: Sequence[date]) -> None:
        """Fetch days of every connection. The days of a month's bill are stored together, also those fetched before."""
        of_bills = [day for day in DAYS if days[0].replace(day=1) <= day < days[0]] + [*days]
        for connection, account in self.keeper.accounts.items():
            self.fetch(connection, of_bills if account.provider == "focus" else days)
        self.wait()

    def run_schedule(self, schedule: str) -> None:
        """Run what a schedule asks for now."""
        definition = self.project.definitions.resolve_schedule_def(schedule)
        with dg.build_schedule_context(instance=self.project.instance, scheduled_execution_time=self.now) as context:
            requests = definition.evaluate_tick(context).run_requests or []
        assert requests
        for request in requests:
            first, last = (date.fromisoformat(request.tags[tag]) for tag in (RANGE_START, RANGE_END))
            self.fetch(request.tags[CONNECTION_TAG], [day for day in DAYS if first <= day <= last])
            self.wait()

    def tick(self) -> Sequence[dg.RunRequest]:
        """Run what the due sensor asks for now."""
        sensor = self.project.definitions.resolve_sensor_def("due_days_sensor")
        resources = {"warehouse": WarehouseResource.of(self.project.warehouse, publishes=False)}
        with dg.build_sensor_context(
            instance=self.project.instance, resources=resources, cursor=self.cursor
        ) as context:
            result = sensor.evaluate_tick(context)
        self.cursor = result.cursor
        for request in result.run_requests or ():
            self.launch(request)
            self.wait()
        return result.run_requests or ()

    def launch(self, request: dg.RunRequest) -> None:
        """Run what the due sensor asks for: days of a connection, or the tables of what was stated."""
        tags = {**request.tags, RUN_KEY_TAG: request.run_key or ""}
        if request.job_name == USAGE_JOB:
            keys = list(request.asset_selection or ())
            first, last = (date.fromisoformat(request.tags[tag]) for tag in (RANGE_START, RANGE_END))
            days = [day for day in DAYS if first <= day <= last]
            self.note(request.tags[CONNECTION_TAG], keys, days, self.project.run(USAGE_JOB, keys, days, **tags))
        else:
            job = request.job_name or ""
            result = replace(self.project, checks=True).run(job, [*self.project.keys_of(job)], None, **tags)
            [check] = result.get_asset_check_evaluations()
            made_up = min(1, int(str(check.metadata["invoices"].value)))
            assert str(check.metadata["different"].value).count(": invoiced ") == made_up
            assert result.success

    def settle(self) -> None:
        """Let the due sensor tick until it has nothing more to ask for."""
        with self.project.warehouse.get_connection():  # it stays open: to open it takes half of a tick
            while self.tick():
                pass

    def compute(self) -> Iterator[str]:
        """Compute forecasts, budgets and incidents. Yield what the run's own checks find wrong, a line each."""
        report = "report_page"
        computed = [key for key in self.project.keys_of(report) if key.path[-1] not in ("port_insights", "report")]
        result = self.project.run(report, computed)
        assert result.success
        for check in result.get_asset_check_evaluations():
            if check.severity is dg.AssetCheckSeverity.ERROR and not check.passed:
                yield f"check {check.check_name}: {check.description}"

    def load(self, accounting: Sequence[Dated]) -> None:
        """Edit the connections file and reload the code location."""
        Path(self.environment["USAGE_CONNECTIONS"]).write_text(self.connections + toml(accounting))
        self.project = replace(self.project, definitions=build_definitions(settings_of(self.environment)))

    def begin(self, connection: str, days: Sequence[date], until: str) -> Iterator[AssetProgress]:
        """Begin a run, as another process does, and leave it where it has just written an asset.

        It goes on with the definitions that it began with.
        """
        keys = tuple(sorted(key for key in self.project.keys_of(USAGE_JOB) if key.path[0] == connection))
        part = RunPlan(connection, USAGE_JOB, keys, Window(days[0], days[-1]))
        [settings] = [each for each in settings_of(self.environment).connections() if each.name == connection]
        share = BackfillPlan(settings, Window(days[0], days[-1]), [part])
        graph = graph_of(settings, money_seed(Accounting()))
        steps = share.run(self.project.definitions, graph, self.project.instance, log_level="ERROR")
        self.go_on(steps, until)
        return steps

    def go_on(self, steps: Iterator[AssetProgress], until: str = "") -> None:
        """Let a run go on until it has written an asset, or to its end."""
        for step in steps:
            assert not step.failure
            if step.done and step.window:
                key = dg.AssetKey.from_user_string(step.asset)
                self.keeper.written(key.path[0], step.window.days, self.now, step.run_id, self.tables[key])
            if step.done and step.asset == until:
                return

    def lose(self) -> None:
        """Lose the database."""
        lose(self.project.warehouse)
        self.keeper.lose()

    @property
    def pushing(self) -> list[str]:
        """The connections that have entities."""
        keys = self.project.keys_of(PORT_SYNC_JOB)
        return [connection for connection in self.keeper.accounts if dg.AssetKey([connection, "port_sync"]) in keys]

    def push(self, days: Sequence[date], *connections: str) -> None:
        """Push days of every connection, or of those named."""
        for connection in connections or self.pushing:
            stored = self.keeper.days_of(connection)
            assert self.project.push_of(connection, [day for day in days if day in stored]).success


def _report_of(key: dg.AssetKey) -> str:
    """The report that an asset is, or that entities of Claude Enterprise are computed from."""
    return ENTITIES_OF_REPORTS.get(key.path[-1], key.path[1])


def tables_of(settings: Settings) -> Mapping[dg.AssetKey, Collection[tuple[str, str]]]:
    """Asset -> the parts of tables that it writes."""
    tables: defaultdict[dg.AssetKey, set[tuple[str, str]]] = defaultdict(set)
    for rows in seeds_of(settings)[1].tables.values():
        for row in rows.to_pylist():
            tables[dg.AssetKey.from_user_string(row["asset"])].add((row["table_name"], row["slice"]))
    return tables


def toml(entries: Iterable[Dated]) -> str:
    """Entries as the connections file has them."""

    def value(said: object) -> str:
        if isinstance(said, list):
            return f"[{', '.join(map(value, said))}]"
        return f'"{said}"' if isinstance(said, str | Path) else str(said)

    return "\n".join(
        f"[[{entry.table}]]\n" + "\n".join(f"{name} = {value(said)}" for name, said in entry.said.items()) + "\n"
        for entry in entries
    )


def said(table: str, **what: Any) -> Dated:
    """An entry of the connections file."""
    return Dated(table, what)


def all_said(entries: Mapping[str, str]) -> list[Dated]:
    """Table of the connections file -> its entries, each as TOML has it in a line."""
    return [
        Dated(table, tomllib.loads(f"said = {{{line}}}", parse_float=Decimal)["said"])
        for table, text in entries.items()
        for line in one_a_line(text)
    ]


def stated(one: Organization, other: Organization) -> list[Dated]:
    """What only the payer knows: rates that change and have gaps, owners that change, what was bought.

    Two days have no rate of credits. Budgets: some are reached and some are not, in dollars, euros and credits, of
    parts of a month and of quarters.
    """
    name_one, name_other = one.ledger.company.identifier, other.ledger.company.identifier
    after, checkout = SWITCH + DAY, name_one("proj_", "checkout")
    return all_said(
        {
            "credit_rate": f"""
            workspace="ws-sandbox", usd_per_credit=0.04, valid_from={FIRST}, valid_until={SWITCH}, source="old"
            workspace="ws-sandbox", usd_per_credit=0.0425123457, valid_from={after + 2 * DAY}, source="new"
        """,
            "exchange_rate": f"""
            currency="EUR", usd=1.0842, valid_from={FIRST}, valid_until={SWITCH}, source="ECB"
            currency="EUR", usd=1.0917654321, valid_from={after}, source="ECB"
            currency="JPY", usd=0.0064123457, valid_from={after}, source="BoJ"
        """,
            "purchase": f"""
            connection="chatgpt", kind="credits", quantity=100000, amount=4000, id="order 9", valid_from={FIRST}
            connection="chatgpt", kind="seats", quantity=40, amount=1200.505, currency="EUR", id="order 10",
              valid_from={after}, valid_until={after + 364 * DAY}
        """,
            "owner": f"""
            project="{checkout}", team="web", valid_until={SWITCH}
            project="{checkout}", team="payments", cost_center="4711", valid_from={after}
            api_key="{name_one("key_", "support bot")}", team="bots"
            user="{name_one("user-", "alice")}", team="apps", cost_center="17", valid_from={after}
            workspace="{name_one("wrkspc_01", "Research")}", team="lab", connection="anthropic"
            workspace="ws-sandbox", team="people", valid_from={CLOSED}
            api_key="Laptop key (Bob)", team="laptops"
            project="{name_other("proj_", "research")}", team="research", connection="openai_emea"
            project="{name_other("proj_", "checkout")}", team="nobody's", connection="anthropic"
        """,
            "budget": f"""
            name="everything", amount=1500
            name="enough", amount=1000000, period="quarter"
            name="lab", team="lab", amount=250.5, period="quarter"
            name="cloud", connection="cloud", amount=400, thresholds=[0.25, 1]
            name="checkout", project="{checkout}", amount=60
            name="opus", model="claude-opus-5", amount=100
            name="yen, too", connection="anthropic_labs", amount=200
            name="euros", amount=100.01, currency="EUR"
            name="codex", connection="chatgpt", credits=4000
            name="late", connection="anthropic", amount=100, valid_from={LAST - 3 * DAY}
            name="over", connection="openai", amount=150, valid_until={LAST - 2 * DAY}
            name="seats", connection="copilot", amount=10000, valid_until={LAST - DAY}
        """,
            "guardrail": 'name="router", connection="router", measure="usd", above=0.2',
            "what_if": """
            provider="anthropic", model="claude-opus-5", to="claude-sonnet-5"
            provider="openai", model="gpt-5.4", cached_share=0.5
        """,
        }
    )


def metrics(folder: Path) -> list[Dated]:
    """Files of what users count: of everything, of teams, of a connection."""
    entries = []
    for scope, rows in by(metric_rows(), "scope_type").items():
        lines = (f"{row['usage_date']},{row['scope_id']},{row['metric']},{row['value']}\n" for row in rows)
        file = folder / f"metrics of {scope[0]}.csv"
        file.write_text("".join(["date,scope,metric,value\n", *lines]))
        entries.append(said("metric", file=file, **({} if scope[0] == "all" else {"scope": scope[0]})))
    return entries


def metric_rows() -> list[dict[str, Any]]:
    """accounting.metrics; on every fourth day nothing is counted, and one team is misspelled."""
    scopes = (("all", ""), ("team", "lab"), ("team", "unowned"), ("team", "lba"), ("connection", "openai"))
    return [
        {
            "usage_date": day,
            "scope_type": kind,
            "scope_id": id_,
            "metric": "merged pull requests",
            "value": Decimal(day.toordinal() * (n + 3) % 7) / 2,
        }
        for day in DAYS
        if day.toordinal() % 4
        for n, (kind, id_) in enumerate(scopes)
    ]


def stated_later(keeper: Keeper) -> list[Dated]:
    """The same with invoices of the first month, and another rate for days that are stored."""
    before, month = keeper.accounting, f"{FIRST:%Y-%m}"

    def invoice(id_: str, connection: str, currency: str = "USD", **more: Any) -> Dated:
        """What has been stored as billed until then."""
        billed = total(
            whole_units(row["native_amount"], row["native_unit"], currency)
            for row in keeper.rows(DAILY)
            if (row["connection"], row["cost_basis"], row["currency"]) == (connection, "billed", currency)
            and f"{row['usage_date']:%Y-%m}" == month
        )
        return said(
            "invoice",
            **{"total": round(billed, MINOR_DIGITS.get(currency, 2)), "currency": currency, **more},
            connection=connection,
            month=month,
            id=id_,
        )

    rates = f"""
        currency="JPY", usd=0.0065, valid_from={SWITCH + DAY}, valid_until={CLOSED}, source="bank"
        currency="JPY", usd=0.0063, valid_from={CLOSED + DAY}, source="bank"
    """
    return [
        *(what for what in before if what.said.get("currency") != "JPY"),
        *all_said({"exchange_rate": rates}),
        invoice("I-1", "openai", issued=CLOSED),
        invoice("I-2", "openai_emea", "EUR"),
        invoice("I-3", "anthropic", issued=CLOSED),
        invoice("I-4", "anthropic", issued=CLOSED + DAY, total=Decimal("0.01")),
        invoice("I-5", "anthropic_labs", "JPY", issued=CLOSED),
        invoice("I-6", "chatgpt", issued=CLOSED),
        invoice("I-7", "editor", issued=CLOSED),
    ]


def chapters() -> list[list[date]]:
    """The days as they are fetched: until the first month is over, some two months at a time, and a last week.

    No provider is asked for what it does not serve any more: Codex is told of 90 days, OpenRouter of 30.
    """
    first, middle, last = DAYS[: WEEK + 1], DAYS[WEEK + 1 : -WEEK], DAYS[-WEEK:]
    size = ceil(len(middle) / ceil(len(middle) / MONTHS)) if middle else 1
    return [first, *(middle[n : n + size] for n in range(0, len(middle), size)), last]


def play(story: Story, look: Callable[[Story], None]) -> None:
    """Everything that happens. People ``look`` when something was stored that nothing is computed from yet."""
    one, other = story.organizations
    first, *months, week = chapters()
    before: list[date] = []
    for days in (first, *months):
        story.move_to(datetime.combine(days[-1], time(8), UTC))
        bill_in_currencies(one, other, days)
        empty(one, other, days[0])
        if before:
            story.fetch_all(days[:-1])
        else:
            lose_the_database(story, days[:-1])
            story.look_up("openai", "openai_emea", "anthropic", "anthropic_labs")
        restate(one, other, days[:-1])
        read_again(story, before, days, look)
        if not before:
            change_rates(story, days)
            one.change("openai", "projects", 0, "rename", "Checkout 2")
            one.change("openai", "project_api_keys", 2, "delete")
            story.look_up("openai")
            story.settle()
        before = days
    story.move_to(datetime.combine(week[-1], time(8), UTC))
    bill_in_currencies(one, other, week)
    read_again(story, before, week, look)
    assert story.behind() == set()


def change_rates(story: Story, days: Sequence[date]) -> None:
    """Rates are edited and the location is reloaded while runs with the old definitions are under way.

    One has not computed costs yet. The other has: what it still writes is computed from costs with the old rates.
    """
    keeper, labs = story.keeper, "anthropic_labs"
    accounting, rated = stated_later(keeper), [day for day in days if day > SWITCH]
    earlier = story.begin(labs, rated[:2], f"{labs}/cost_report")
    later = story.begin(labs, rated[2:], f"{labs}/cost_report/daily_costs")
    story.wait()
    story.load(accounting)
    assert [request.job_name for request in story.tick()] == [ACCOUNTING_JOB], "what is being written is waited for"
    story.go_on(later)
    keeper.accounting = accounting
    story.go_on(earlier)
    behind = story.behind()
    assert {(connection, day) for *_, connection, day in behind} <= {(labs, day) for day in rated[2:]}, behind
    assert behind
    story.wait()
    story.settle()
    assert story.behind() == set()


def read_again(story: Story, before: Sequence[date], days: Sequence[date], look: Callable[[Story], None]) -> None:
    """A day after some days are over: read what the daily schedule has to, and days that it thinks settled."""
    story.move_to(datetime.combine(days[-1] + DAY, time(9), UTC))
    settled, unsettled = before[-8:][:1], before[-3:][:1]
    for day in unsettled:
        restate_once_more(*story.organizations, day)
    for day in settled:
        story.organizations[0].restate("chatgpt/codex_usage", day, "scale", 5)
        story.refuse("claude", "user_usage_report", "GET /anthropic/v1/organizations/analytics/user_usage_report")
    story.project.warehouse.maintain(90 * DAY)  # what the daily prune does with a lake
    story.run_schedule("daily_usage_schedule")
    if settled:
        story.fetch("chatgpt", settled)
        story.wait()
    if DAYS[0] in before:
        story.settle()  # the schedule's runs have seen which bills have changed: the sensor reads them
        fetch_alone(story, *unsettled)
        look(story)
    story.settle()
    story.push([*before, *days])


ALONE = """
    openai/costs              3   2
    openai/usage_completions  2   1
    anthropic/cost_report     -1  1
    chatgpt/codex_usage       3   1
"""
"""Endpoint -> what a day is multiplied by in each organization."""


def scale(organizations: Iterable[Organization], day: date, text: str) -> None:
    """Multiply a day; by 1 is not at all, and by 0 empties it."""
    for name, *factors in lines(text):
        for organization, factor in zip(organizations, map(int, factors), strict=True):
            if factor != 1:
                organization.restate(name, day, "scale" if factor else "clear", factor or 2)


def fetch_alone(story: Story, day: date) -> None:
    """A day of the month that is invoiced is restated, and people run alone what fetches it."""
    scale(story.organizations, day, ALONE)
    story.fetch("openai", [day], "costs", "usage_completions")
    story.fetch("openai_emea", [day], "costs")
    story.fetch("anthropic", [day], "cost_report")
    story.fetch("chatgpt", [day], "codex_usage")
    story.wait()


def lose_the_database(story: Story, days: Sequence[date]) -> None:
    """Some connections are stored and pushed, some of that is taken back, and the database is lost.

    Everything comes again by itself, and what Port has too much of is found by the next push.
    """
    one, other = story.organizations
    pushed = ("openai_emea", "anthropic", "chatgpt")
    for connection in pushed:
        story.fetch(connection, days)
    story.push(days, *pushed)
    one.restate("anthropic/claude_code", days[2], "clear")
    one.restate("chatgpt/codex_usage", days[-1], "remove")
    other.restate("openai/costs", days[0], "remove")
    other.restate("openai_legacy/usage", days[1], "clear")
    story.lose()
    story.wait()
    story.settle()
    assert story.behind() == set()
    assert {(connection, day) for *_, connection, day in story.keeper.days} == {
        (connection, day) for connection in story.keeper.accounts for day in story.served(connection, days)
    }


def empty(one: Organization, other: Organization, day: date) -> None:
    """A day of which there is nothing yet when it is fetched first."""
    for name, organization in LATE.items():
        (one, other)[organization].restate(name, day, "clear")


LATE = {
    **dict.fromkeys(("openai/costs", "anthropic/usage_messages", "chatgpt/codex_usage"), 0),
    **dict.fromkeys(("anthropic/cost_report", "openai_legacy/billing_usage"), 1),
}
"""Endpoint, and organization, that tells of a day only when it is read again."""


def bill_in_currencies(one: Organization, other: Organization, days: Sequence[date]) -> None:
    """Euros and yen, and pounds that have no rate; of some days only."""
    other.bill("openai", days, "eur", 0)
    other.bill("openai", days[::4], "gbp", 1)
    other.bill("anthropic", days[1::2], "JPY", 2)
    other.bill("anthropic", days[::5], "EUR", 0)
    one.bill("openai", days[3::7], "eur", 2)


def restate(one: Organization, other: Organization, days: Sequence[date]) -> None:
    """Amounts rise and fall, are given back, and vanish; days are emptied, and empty ones get rows."""
    changes = (("scale", 2), ("scale", -1), ("clear", 1), ("remove", 1), ("add", 1), ("scale", 0))
    for n, (change, factor) in enumerate(changes, 1):
        one.restate("openai/costs", days[n], change, factor)
        other.restate("openai/costs", days[-n], change, factor)
        one.restate("anthropic/cost_report", days[-n], change, factor)
        other.restate("anthropic/cost_report", days[n], change, factor)
    for n, (change, factor) in enumerate(CHANGES):
        one.restate("openai/usage_completions", days[-1 - n], change, factor)
        one.restate("openai/usage_images", days[n], change, factor)
        one.restate("anthropic/usage_messages", days[n], change, factor)
        one.restate("anthropic/claude_code", days[-1 - n], change, factor)
        one.restate("chatgpt/codex_usage", days[1 + n], change, factor)
    for name, organization in LATE.items():
        (one, other)[organization].restate(name, days[0], "add")
    for n, (change, factor) in enumerate(CHANGES):
        for name in RESTATED:
            one.restate(name, days[-2 - n], change, factor)
        for name in ("billing_usage", "usage"):
            other.restate(f"openai_legacy/{name}", days[-2 - n], change, factor)
        one.restate(f"github_copilot/{metered_on(days[-2 - n])}", days[-2 - n], change, factor)
    for name in ("cursor/daily_usage", "github_copilot/users_1_day", "github_copilot/organization_1_day"):
        one.restate(name, days[-2], "scale", 2)
    newer = [day for day in days if day >= NEWER_SINCE]
    for n, name in enumerate(BOOKS["anthropic_analytics"].endpoints):
        change, factor = CHANGES[0 if name in ALWAYS else n % len(CHANGES)]
        one.restate(f"anthropic_analytics/{name}", newer[-1 - n % len(newer)], change, factor)


CHANGES = (("scale", 3), ("clear", 1), ("remove", 1), ("add", 1))
ALWAYS = ("summaries",)
"""What has one row every day."""
RESTATED = (
    "focus/charges",
    "github_copilot/billing_usage",
    "cursor/usage_events",
    "litellm/user_activity",
    "litellm/tag_activity",
    "openrouter/activity",
)


def metered_on(day: date) -> str:
    """In what GitHub bills the use of a day."""
    return "premium_requests" if day < CREDITS_SINCE else "ai_credits"


ONCE_MORE = """
    openai/costs                  3  -2
    anthropic/cost_report         2  0
    chatgpt/codex_usage           2  1
    focus/charges                 2  1
    github_copilot/billing_usage  2  1
    cursor/usage_events           2  1
    litellm/user_activity         2  1
    openai_legacy/billing_usage   1  2
"""


def restate_once_more(one: Organization, other: Organization, day: date) -> None:
    """A day of the month before, which is invoiced."""
    scale((one, other), day, ONCE_MORE)
    for name in BOOKS["anthropic_analytics"].endpoints:
        one.restate(f"anthropic_analytics/{name}", max(day, NEWER_SINCE), "scale", 2)


def refuse_keys(organization: Organization) -> None:
    """Refuse to tell costs of early days by API key, as OpenAI does for those before 2025-12-06."""
    since = int(midnight(KEYS_SINCE).timestamp())
    message = f"group_by=api_key_id is not available for this time range. Try a start_time on or after {since}."
    days = [str(day) for day in DAYS if day < KEYS_SINCE]
    route = {"route": "GET /openai/v1/organization/costs", "fault": "ungroupable"}
    organization.sandbox.faults(route | {"dimension": "api_key_id", "days": days, "message": message})


@contextmanager
def story_of(folder: Path, sandbox: Sandbox) -> Iterator[Story]:
    """Everything as it is before the first day."""
    with (
        running_sandbox() as url,
        httpx.Client(base_url=url, timeout=30) as control,
        time_machine.travel(midnight(FIRST), tick=False) as travel,
    ):
        second = Sandbox(url, control)
        second.control("POST", "reset", {"seed": OTHER_SEED})
        organizations = (Organization.at(sandbox, DEFAULT_SEED, folder), Organization.at(second, OTHER_SEED))
        one, other = organizations
        for organization in organizations:
            refuse_keys(organization)
        accounts = [
            Account(
                *(source.name, source.provider, organizations[source.organization].ledger),
                source.keeps_names,
                source.endpoints,
                None if source.key else one.bills,
                KEYS_SINCE,
            )
            for source in SOURCES
        ]
        keeper = Keeper(accounts, [*stated(one, other), *metrics(folder)])
        file = folder / "connections.toml"
        environment = sandbox_environment(sandbox.base_url, folder / "usage.duckdb") | {
            **dict.fromkeys(NO_KEYS, ""),
            "USAGE_CONNECTIONS": str(file),
            "USAGE_START_DATE": str(FIRST),
            "USAGE_LOOKBACK_DAYS": str(2 * WEEK),  # few days are one run, many days two
            "USAGE_ARCHIVE": "off",
            "USAGE_BACKFILL_HISTORY": "true",
        }
        addresses = (sandbox.base_url, url)
        connections = "\n".join(source.entry(folder, addresses[source.organization]) for source in SOURCES)
        file.write_text(connections + toml(keeper.accounting))
        with open_project(sandbox, folder, environment, has_views=False) as project:
            yield Story(
                project,
                organizations,
                keeper,
                connections,
                environment,
                travel,
                midnight(FIRST),
                tables_of(settings_of(environment)),
            )
