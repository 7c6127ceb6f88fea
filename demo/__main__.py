"""`python -m demo` starts the sandbox and Dagster, backfills every provider, waits for Port and sums up.

Its home starts empty each time, because the sandbox does, and it never sees the user's `.env`, keys or data.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from threading import Event, Thread
from typing import IO

import click
import httpx
from rich.console import Console

from demo.agreement import MESSAGES, differences, everything_said, messages_of
from demo.services import AssetPath, DagsterServices, Progress
from demo.summary import (
    Books,
    Summary,
    compare_entities,
    compare_totals,
    money_by_month,
    show,
    stored_rows,
)
from usage_assets.automation.jobs import CONNECTION_TAG, LOOKUPS_JOB
from usage_assets.cli.processes import LOCK, ManagedProcess, StartError, only_one, terminate_like_ctrl_c
from usage_assets.config.address import DEMO
from usage_assets.core import money
from usage_assets.core.days import DAY, Window, counted, utc_today
from usage_assets.core.errors import UserError
from usage_assets.core.private import keep_private
from usage_assets.features.port.catalog.client import PortClient, PortError
from usage_assets.local.home import CONFIGURATION, WORKSPACE
from usage_assets.models.due import PUSH
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Provider
from usage_assets.warehouse.database import Warehouse
from usage_assets_report.graph.insights import ASSETS as INSIGHTS
from usage_assets_report.graph.sensor import REPORT_JOB
from usage_assets_report.in_port import PORT_INSIGHTS
from usage_assets_sandbox import credentials

INHERITED = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TERM",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
)
"""All that the demo takes of the user's environment: no key, setting or proxy. PYTHONPATH may name the checkout."""

CONNECTIONS = """
[[connection]]
name = "openai"
provider = "openai"
key = "env:SANDBOX_OPENAI_KEY"
endpoints = { usage_decisions = true }  # off by default

[[connection]]
name = "openai_legacy"
provider = "openai_legacy"  # of the same organization: its rows are kept, what is derived from them is empty
key = "env:SANDBOX_OPENAI_SESSION"

[[connection]]
name = "litellm"
provider = "litellm"  # a proxy before OpenAI and Anthropic: estimates of what both bill
key = "env:SANDBOX_LITELLM_KEY"

[connection.endpoints]
tag_activity_by_model = true

[[connection]]
name = "anthropic_analytics"
provider = "anthropic_analytics"  # the usage of anthropic once more: its reports, their cuts, and who uses Claude
key = "env:SANDBOX_ANTHROPIC_ANALYTICS_KEY"

[connection.endpoints]
"""
CONNECTIONS += "".join(
    f"{endpoint.name} = true\n" for endpoint in PROVIDERS["anthropic_analytics"].endpoints if not endpoint.default_on
)
"""What the environment cannot say of the demo's connections."""
WHO_BILL_TOO = """
[[connection]]
name = "openrouter"
provider = "openrouter"
key = "env:SANDBOX_OPENROUTER_KEY"

[[connection]]
name = "github_copilot"
provider = "github_copilot"
key = "env:SANDBOX_COPILOT_TOKEN"
organization = "acme-robotics"

[[connection]]
name = "cursor"
provider = "cursor"
key = "env:SANDBOX_CURSOR_KEY"
requests_per_second = 50  # Cursor itself allows 20 a minute
"""
"""Other connections that bill; ``keys_of_others`` has their keys."""
BILLS = """
[[connection]]
name = "focus"
provider = "focus"  # a cloud's bill: Bedrock
files = "{folder}"
"""
OWNERS = {
    "proj_0133aec72ece26fa68afb056": "shop",
    "proj_bd641ada84bf2a8308a7abd2": "support",
    "proj_4dc1ed8c6e7618a2fa82ece9": "data",
    "proj_f47aed34b467f63cca11c5d8": "research",
    "wrkspc_01a7ac48cd79a342f01f39e352": "shop",
    "wrkspc_01d552174dcb1c8edb6ea03d63": "support",
    "wrkspc_0159665371dc5f63169f5649e0": "research",
    "wrkspc_016e22e040e290728b73270e50": "engineering",
}
"""Project or workspace -> its team. Nobody owns the ChatGPT workspace."""
COST_CENTERS = {"shop": "4711", "support": "4712", "data": "4720", "research": "4720"}
"""Team -> its cost center."""
SHARED_COSTS = """
[[shared_cost]]
name = "Copilot seats"
connection = "github_copilot"
headcount = { 4711 = 12, 4712 = 8, 4720 = 20 }
"""
SEATS = """
[[seat]]
connection = "cursor"
price = 40
included = 20

[[seat]]
connection = "chatgpt"
price = 30
count = 12

[[seat]]
connection = "anthropic_analytics"
price = 60
"""
BUDGETS = """
[[budget]]
name = "company"
amount = 3500

[[budget]]
name = "research"
team = "research"
amount = 6000
period = "quarter"

[[guardrail]]
name = "nightly labels"
model = "gpt-5.4-nano"
measure = "tokens"
above = 60000000
"""
METRICS = """
[[metric]]
file = "{file}"
scope = "team"

[[tag_allocation]]
connection = "openai"
gateway = "litellm"
tags = "env:"

[[what_if]]
provider = "anthropic"
model = "claude-opus-5"
to = "claude-sonnet-5"

[[what_if]]
provider = "openai"
model = "gpt-5.4"
cached_share = 0.5
"""
NOTE = """
[[note]]
name = "evaluation"
text = "Research compares models on its whole archive"
valid_from = {first}
valid_until = {last}
"""
INVOICE = """
[[invoice]]
connection = "openai"
month = "{month:%Y-%m}"
total = {total:.2f}
id = "INV-{month:%Y%m}"
"""

IN_ORDER = f"""
# One run of a connection after the other, the older first: its lookups, then its days, which show their names.
run_coordinator:
  module: dagster
  class: QueuedRunCoordinator
  config:
    max_concurrent_runs: 4
    dequeue_interval_seconds: 1
    tag_concurrency_limits:
      - key: {CONNECTION_TAG}
        value:
          applyLimitPerUniqueValue: true
        limit: 1
"""
"""What the demo's home has instead of ``concurrency``: nothing waits for the next of the daemon's rounds of 5 s."""
CONCURRENCY = re.compile(r"^concurrency:\n(?: .*\n)+", re.M)

OF_REPORT: Sequence[AssetPath] = [("report",), *((name,) for name in (*INSIGHTS, PORT_INSIGHTS))]
OF_ALL: Collection[AssetPath] = {("accounting",), *OF_REPORT}
"""Assets of no connection."""
LONGEST_SECONDS, LONGEST_SECONDS_PER_DAY = 600, 4
SECONDS_BETWEEN_LINES = 4
SECONDS_BETWEEN_COUNTS = 10
"""The web server takes a third of a second of CPU to count the stored days: more often is at the cost of the runs."""
ENDED_BADLY = frozenset({"COMPLETED_FAILED", "FAILING", "FAILED", "CANCELING", "CANCELED"})
WIDTH = 132
"""Of the tables where no terminal says its own."""

ASKED: Mapping[str, Provider] = {
    name: PROVIDERS[name]
    for name in (
        "openai",
        "anthropic",
        "chatgpt",
        "openai_legacy",
        "focus",
        "litellm",
        "openrouter",
        "cursor",
        "github_copilot",
        "anthropic_analytics",
    )
}
"""The providers of the demo's connections, which are called as these."""
LATE = {"anthropic_analytics": 3}
"""Connection -> the days after which all of its reports are there; others are there when a day is over."""
STALE = "select count(*) from ledger.due_days where state in ('stale', 'unpushed')"
Windows = Mapping[str, Window]
"""Connection (named like its provider) -> the days that it serves."""


class DemoError(Exception):
    """The demo did not finish: what happened, in one line."""


class Say:
    """Lines for the person who watches, each with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._start = self._last = time.monotonic()
        self._text = ""
        self.repeats = True
        """Whether the last line is repeated while nothing else is printed."""

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def __call__(self, text: str) -> None:
        self._last, self._text = time.monotonic(), text
        self.console.print(f"{self.seconds:4.0f} s  {text}", highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def never_silent(self) -> Iterator[None]:
        """Repeat the last line whenever none was printed for a while: whoever watches sees that it goes on."""
        ended = Event()
        thread = Thread(target=self._repeat_until, args=(ended,), name="never-silent")
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _repeat_until(self, ended: Event) -> None:
        while not ended.wait(0.5):
            if self.repeats and time.monotonic() - self._last > SECONDS_BETWEEN_LINES:
                self(self._text)


@click.command()
@click.option("--days", type=click.IntRange(1, 365), default=90, show_default=True, help="closed days to fetch")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="of Dagster's UI")
@click.option("--ui/--no-ui", default=True, help="stay with the UI, or end after the summary")
def main(days: int, port: int, *, ui: bool) -> None:
    """Run the demo in .demo below the current folder."""
    console = Console()
    say = Say(console if console.is_terminal else Console(width=WIDTH))
    terminate_like_ctrl_c()
    keep_private()
    try:
        sys.exit(0 if run(Path.cwd(), days, port, stay=ui, say=say) else 1)
    except StartError as error:
        click.echo(f"demo: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        say("stopped")
        sys.exit(130)


def run(root: Path, days: int, port: int, *, stay: bool, say: Say) -> bool:
    """Run the demo and stop everything that it started. Returns whether nothing differs. Raises StartError."""
    home = root / Path(DEMO).parent
    with say.never_silent(), only_one(home, "the demo", say) as lock:
        say("starting the emulated providers")
        empty(home)
        write_configuration(home)
        write_connections(home)
        write_metrics(home, utc_today() - DAY * days)
        with start_sandbox(home, lock) as sandbox:
            url = address_of(sandbox)
            write_invoice(home, url, utc_today() - DAY * days)
            deliver_bills(url, home / "bills", utc_today() - DAY * days)
            say(f"sandbox: {url} emulates every provider, a cloud and Port; everything is in {home}")
            with start_dagster(home, lock, url, port, utc_today() - DAY * days) as dagster:
                if dagster.port != port:
                    say(f"port {port} is in use: the UI takes {dagster.port}")
                say("Dagster is starting")
                dagster.wait_until_ready()
                say(f"Dagster: {dagster.url}")
                is_equal = fill_and_compare(dagster, sandbox, url, home, days, say)
                if stay:
                    say.repeats = False
                    say(f"next: open {dagster.url}/asset-groups, which stays until Ctrl-C")
                    dagster.stay_until_interrupted()
                    say.repeats = True
                say("stopping Dagster and the emulated providers")
                return is_equal


def windows_of(providers: Mapping[str, Provider], days: int, today: date) -> Windows:
    """The last closed days, of each provider no more than it serves; none of those that serve none of them yet."""
    firsts = {
        name: max(today - DAY * min(days, provider.lookback_days or days), provider.first_day or date.min)
        for name, provider in providers.items()
    }
    lasts = {name: today - DAY * LATE.get(name, 1) for name in firsts}
    return {name: Window(first, lasts[name]) for name, first in firsts.items() if first <= lasts[name]}


def write_configuration(home: Path) -> None:
    (home / CONFIGURATION.name).write_text(CONCURRENCY.sub("", CONFIGURATION.read_text()) + IN_ORDER)


def write_connections(home: Path) -> None:
    owners = "".join(
        f'\n[[owner]]\n{"project" if id_.startswith("proj_") else "workspace"} = "{id_}"\nteam = "{team}"\n'
        + (f'cost_center = "{COST_CENTERS[team]}"\n' if team in COST_CENTERS else "")
        for id_, team in OWNERS.items()
    )
    connections = CONNECTIONS + WHO_BILL_TOO + BILLS.format(folder=home / "bills")
    stated = METRICS.format(file=home / "merged.csv")
    stated += NOTE.format(first=utc_today() - 10 * DAY, last=utc_today() - 9 * DAY)
    (home / "connections.toml").write_text(connections + owners + SHARED_COSTS + SEATS + BUDGETS + stated)


def write_invoice(home: Path, sandbox: str, first: date) -> None:
    """State OpenAI's invoice of the last month, by the sandbox's books, if the demo has all of its days."""
    last = utc_today().replace(day=1) - DAY
    month = last.replace(day=1)
    if month >= first:
        billed = Books(sandbox).truth("openai", Window(month, last))["usd"]
        with (home / "connections.toml").open("a") as connections:
            connections.write(INVOICE.format(month=month, total=money.total(billed.values())))


def write_metrics(home: Path, first: date) -> None:
    """Write how many pull requests each team has merged, to yesterday: nothing at the weekend."""
    merged = [
        f"{day},{team},merged pull requests,{(day.weekday() < 5) * (3 + day.toordinal() * (n + 3) % (n + 5))}\n"
        for day in Window(first, utc_today() - DAY).days
        for n, team in enumerate(dict.fromkeys(OWNERS.values()))
    ]
    (home / "merged.csv").write_text("".join(["date,scope,metric,value\n", *merged]))


def empty(home: Path) -> None:
    """Remove what an earlier demo has left, but for the lock that is held."""
    for left in home.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        elif left.name != LOCK:
            left.unlink()


def isolated(environment: Mapping[str, str]) -> dict[str, str]:
    """What the demo's processes get of the user's environment. They run in the home, where no `.env` of the user is."""
    return {name: environment[name] for name in INHERITED if name in environment}


def settings_for(sandbox: str, home: Path) -> dict[str, str]:
    accounts = credentials.variables(sandbox)
    return accounts | {
        "USAGE_WAREHOUSE": str(home / "usage.duckdb"),
        # the demo launches its own backfills: no day is so recent that the due sensor fetches it before them
        "USAGE_BACKFILL_HISTORY": "false",
        "USAGE_LOOKBACK_DAYS": "1",
        "USAGE_PEOPLE": "names",  # nobody of the company is real
        "USAGE_DIGEST": "true",
        "USAGE_SCHEDULE": "59 23 * * *",
        "USAGE_CONNECTIONS": str(home / "connections.toml"),
        "SANDBOX_OPENAI_KEY": accounts.pop("OPENAI_ADMIN_KEY"),  # which is the connection's in the file
        "SANDBOX_OPENAI_SESSION": credentials.OPENAI_SESSION_KEY,
        "SANDBOX_LITELLM_KEY": credentials.LITELLM_MASTER_KEY,
        "LITELLM_BASE_URL": f"{sandbox}/litellm",
        "SANDBOX_ANTHROPIC_ANALYTICS_KEY": credentials.ANTHROPIC_ANALYTICS_KEY,
        **keys_of_others(sandbox),
    }


def keys_of_others(sandbox: str) -> dict[str, str]:
    """Return the environment of WHO_BILL_TOO."""
    return {
        "SANDBOX_OPENROUTER_KEY": credentials.OPENROUTER_MANAGEMENT_KEY,
        "OPENROUTER_BASE_URL": f"{sandbox}/openrouter",
        "SANDBOX_COPILOT_TOKEN": credentials.COPILOT_TOKEN,
        "GITHUB_COPILOT_BASE_URL": f"{sandbox}/github_copilot",
        "SANDBOX_CURSOR_KEY": credentials.CURSOR_API_KEY,
        "CURSOR_BASE_URL": f"{sandbox}/cursor",
    }


def start_sandbox(home: Path, lock: IO[str]) -> ManagedProcess:
    with (home / "sandbox.log").open("w") as log:
        return ManagedProcess(
            "the sandbox",
            [sys.executable, "-m", "usage_assets_sandbox", "--port", "0"],
            lock=lock,
            cwd=home,
            advice=f"see {log.name}",
            env=isolated(os.environ),
            stdout=subprocess.PIPE,
            stderr=log,
        )


def start_dagster(home: Path, lock: IO[str], sandbox: str, port: int, first: date) -> DagsterServices:
    """Start Dagster, in the home and with nothing but the demo's settings."""
    return DagsterServices(
        home,
        home / WORKSPACE.name,
        port,
        lock,
        cwd=home,
        env=isolated(os.environ) | settings_for(sandbox, home) | {"USAGE_START_DATE": str(first)},
        log=home / "dagster.log",
    )


def deliver_bills(sandbox: str, folder: Path, first: date) -> None:
    """Have the cloud's bills written, to yesterday."""
    days = {"start": str(first), "end": str(utc_today() - DAY)}
    with httpx.Client(timeout=60, trust_env=False) as http:
        http.post(f"{sandbox}/control/bills", json=days | {"folder": str(folder)}).raise_for_status()


def address_of(sandbox: ManagedProcess) -> str:
    """Where the sandbox listens, as soon as it does. Raises StartError when it ends before."""
    words = sandbox.first_line().split()
    if not words:
        raise StartError(f"the sandbox did not start: {sandbox.advice}")
    return words[-1]


def fill_and_compare(
    dagster: DagsterServices, sandbox: ManagedProcess, url: str, home: Path, days: int, say: Say
) -> bool:
    """Backfill every connection, wait for the pushes and print the summary. Returns whether nothing differs."""
    ready = say.seconds
    windows = windows_of(ASKED, days, utc_today())
    try:
        lookups = look_up(dagster, say)
        wanted = launch(dagster, windows, say)
        dagster.start_daemon()
        say("Dagster's daemon is starting")
        wait_for(wanted, dagster, sandbox, say, required=lookups)
        wait_for_changes(dagster, sandbox, Warehouse(database=str(home / "usage.duckdb")), say)
        filled = say.seconds
        say("comparing every total and every entity with the sandbox's books")
        summary = summarize(url, home, windows)
        page = home / "report.html"
        contradictions = compare_readings(dagster, write_page(dagster, say), page, url, home)
    except (DemoError, PortError, UserError, httpx.HTTPError) as error:
        say(f"FAILED: {error}")
        return False
    seconds = {"until Dagster was ready": ready, "backfills and pushes": filled - ready, "in all": say.seconds}
    show(summary, seconds, say.console)
    for line in contradictions:
        say(f"FAILED: {line}")
    if not contradictions:
        say("the report, the tables, Port, the digest and the alerts say the same")
    say("everything is equal" if summary.is_equal else "FAILED: NOT EQUAL, see above")
    for line in summary.money:
        say(line)
    say(f"next: query costs.daily_costs and costs.focus in {home / 'usage-latest.duckdb'}")
    say(f"next: open {page}")
    return summary.is_equal and not contradictions


def write_page(dagster: DagsterServices, say: Say) -> str:
    """Have the report written now, as the sensor does after a while; return the run. Raises DemoError."""
    say("forecasting, and writing the report")
    run = dagster.launch_run(REPORT_JOB, OF_REPORT, {})
    while run not in (progress := dagster.progress()).failed_runs and progress.unfinished_runs:
        dagster.require_running()
        time.sleep(1)
    if run in progress.failed_runs:
        raise DemoError(f"the report failed{_why(progress, dagster)}")
    return run


def compare_readings(dagster: DagsterServices, run: str, page: Path, sandbox: str, home: Path) -> Sequence[str]:
    """Return a line for each figure that the report, the tables, Port, the digest and the alerts do not say alike."""
    messages = messages_of(event for event in dagster.ask(MESSAGES, run=run)["logsForRun"]["events"] if event)
    warehouse = Warehouse(database=str(home / "usage.duckdb"))
    with PortClient(f"{sandbox}/port", credentials.PORT_CLIENT_ID, credentials.PORT_CLIENT_SECRET) as port:
        html = page.read_text(encoding="utf-8")
        return differences(everything_said(html, warehouse, port, messages, utc_today() - DAY))


def look_up(dagster: DagsterServices, say: Say) -> Collection[str]:
    """Launch the lookup runs, which must come before the runs of days. Return their run ids."""
    lookups: dict[str, list[AssetPath]] = defaultdict(list)
    for key, has_days in dagster.assets().items():
        if not has_days and key not in OF_ALL and not key[-1].startswith("port_"):
            lookups[key[0]].append(key)
    runs: list[str] = []
    for name, keys in lookups.items():
        runs.append(dagster.launch_run(LOOKUPS_JOB, keys, {CONNECTION_TAG: name}))
        say(f"{name}: run of {counted(len(keys), 'lookup')}")
    return runs


def launch(dagster: DagsterServices, windows: Windows, say: Say) -> dict[AssetPath, int]:
    """Launch a backfill per connection, without the pushes: the sensor's. Returns the days each asset will have."""
    assets = [key for key, has_days in dagster.assets().items() if has_days]
    # what another connection bills comes after it: then it is computed once
    for name, window in sorted(windows.items(), key=lambda each: PROVIDERS[each[0]].superseded_by is not None):
        usage = [key for key in assets if key[0] == name and key[-1] != PUSH]
        dagster.launch_backfill(name, usage, window.days, {CONNECTION_TAG: name})
        say(f"{name}: backfill of {len(usage)} assets for {len(window.days)} days, {window}{_served(name, windows)}")
    return {key: len(windows[key[0]].days) for key in assets if key[0] in windows}


def _served(name: str, windows: Windows) -> str:
    first = min(window.first for window in windows.values())
    return f" (it serves the last {PROVIDERS[name].lookback_days})" if windows[name].first > first else ""


def wait_for(
    wanted: Mapping[AssetPath, int],
    dagster: DagsterServices,
    sandbox: ManagedProcess,
    say: Say,
    required: Collection[str] = (),
) -> None:
    """Wait until every asset has its days and no run is left. Raises DemoError where that will not be, and where one of
    the ``required`` runs fails."""
    longest = LONGEST_SECONDS + LONGEST_SECONDS_PER_DAY * max(wanted.values())
    deadline, next_line = time.monotonic() + longest, 0.0
    while True:
        sandbox.require_running()
        dagster.require_running()
        progress = dagster.progress()
        if not {*required}.isdisjoint(progress.failed_runs):
            raise DemoError(f"the lookups failed{_why(progress, dagster)}")
        if progress.unfinished_runs and time.monotonic() < next_line:
            time.sleep(1)
            continue
        stored = dagster.stored_days()
        missing = {key: days - stored[key] for key, days in wanted.items() if stored[key] < days}
        if not missing and not progress.unfinished_runs:
            return
        badly = [f"{title} ({status})" for title, status in progress.backfills.items() if status in ENDED_BADLY]
        if badly and not progress.unfinished_runs:
            raise DemoError(f"a backfill ended without all its days: {', '.join(badly)}{_why(progress, dagster)}")
        if time.monotonic() > deadline:
            listed = ", ".join(f"{'/'.join(key)} ({days} days)" for key, days in missing.items()) or "the end of a run"
            raise DemoError(f"still missing after {longest} s: {listed}{_why(progress, dagster)}")
        if time.monotonic() > next_line:
            next_line = time.monotonic() + SECONDS_BETWEEN_COUNTS
            say(_how_far(wanted, missing, progress))
        time.sleep(1)


def wait_for_changes(dagster: DagsterServices, sandbox: ManagedProcess, warehouse: Warehouse, say: Say) -> None:
    """Wait until the due sensor has computed and pushed again what was computed before another connection's bill of the
    same use was there. Raises DemoError where it does not."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while days := warehouse.read(STALE).column(0)[0].as_py():
        say(f"{days} days are computed or pushed again")
        sandbox.require_running()
        dagster.require_running()
        if time.monotonic() > deadline:
            raise DemoError(f"{days} days are still stale after {LONGEST_SECONDS} s")
        time.sleep(SECONDS_BETWEEN_COUNTS)


def _why(progress: Progress, dagster: DagsterServices) -> str:
    reasons = [reason for run in progress.failed_runs for reason in dagster.reasons(run)]
    return "".join(f"; {reason}" for reason in reasons[:3])


def _how_far(wanted: Mapping[AssetPath, int], missing: Mapping[AssetPath, int], progress: Progress) -> str:
    total, done = sum(wanted.values()), sum(wanted.values()) - sum(missing.values())
    pushes = {key: days for key, days in wanted.items() if key[-1] == PUSH}
    pushed = sum(pushes.values()) - sum(missing.get(key, 0) for key in pushes)
    failed = f", failed: {len(progress.failed_runs)}" if progress.failed_runs else ""
    return (
        f"stored {done - pushed:,} of {total - sum(pushes.values()):,} asset days, "
        f"pushed {pushed} of {sum(pushes.values())} days; runs to go: {progress.unfinished_runs}{failed}"
    )


def summarize(sandbox: str, home: Path, windows: Windows) -> Summary:
    """Compare what is stored and pushed with the sandbox's books."""
    warehouse, books = Warehouse(database=str(home / "usage.duckdb")), Books(sandbox)
    requests = books.requests()  # before the comparison makes its own
    with PortClient(f"{sandbox}/port", credentials.PORT_CLIENT_ID, credentials.PORT_CLIENT_SECRET) as port:
        blueprints = compare_entities(warehouse, port, windows)
    return Summary(
        compare_totals(warehouse, books, windows),
        blueprints,
        stored_rows(warehouse),
        requests,
        money_by_month(warehouse),
    )


if __name__ == "__main__":
    main()
