"""The same usage through two connections: refused where the settings prove it, told of where stored ids show it."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from pypdf import PdfReader

from usage_assets.build import build_definitions
from usage_assets.config.settings import SettingsError
from usage_assets.core.schema import Row
from usage_assets.models.same_use import refuse_same_use
from usage_assets.providers import PROVIDERS
from usage_assets.providers.openai.costs import Costs
from usage_assets.providers.openai.lookups import Projects
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.published import publish
from usage_assets.warehouse.tables import Table
from usage_assets_tests.alone import needs
from usage_assets_tests.fixtures import NO_KEYS, NOW, NewWarehouse, Sandbox, last_days
from usage_assets_tests.models.days import Days, cases, raw
from usage_assets_tests.models.stated import listed
from usage_assets_tests.snapshot import settings_of
from usage_assets_tests.terminal import Terminal, examined
from usage_assets_vendors.github_copilot.billing import BillingUsage
from usage_assets_vendors.github_copilot.lookups import Seats

SECRET = "sk-a-secret-of-two"


def entry(name: str, more: str = "", *, provider: str = "openai", key: str = "key") -> str:
    """A connection whose key is in a file."""
    return f'[[connection]]\nname = "{name}"\nprovider = "{provider}"\nkey = "file:{key}"\n{more}\n'


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files with one key, and one with another."""
    monkeypatch.chdir(tmp_path)
    for name, key in (("key", SECRET), ("copy", f"{SECRET}\n"), ("another", "sk-another")):
        Path(name).write_text(key)


def refusal(text: str) -> str | None:
    """What is said of a connections file when a graph is built; None where it is built."""
    Path("connections.toml").write_text(text)
    try:
        refuse_same_use(settings_of(usage_connections="connections.toml").connections())
    except SettingsError as error:
        return str(error)
    return None


WS = 'workspace_id = "ws-1"'


SAME = {
    "the same key": (entry("a"), entry("b")),
    "Anthropic is not told of an organization": (
        entry("a", 'organization = "one"', provider="anthropic"),
        entry("b", 'organization = "two"', provider="anthropic"),
    ),
    "one workspace": (entry("a", WS, provider="chatgpt"), entry("b", WS, provider="chatgpt", key="another")),
    **{
        case: (entry("a", *of_a), entry("b", of_b))
        for case, *of_a, of_b in cases("""
            all of it and a project -> project = "proj_1"
            all of it and a part -> filters = { project_ids = ["p1"] }
            a part of both
                -> filters = { project_ids = ["p1", "p2"] } -> filters = { project_ids = ["p2", "p3"] }
            costs are not narrowed down by models -> filters = { models = ["m1"] } -> filters = { models = ["m2"] }
        """)
    },
}
"""What two connections have in common -> their entries."""


def test_what_is_certainly_asked_twice_is_refused(keys: None) -> None:
    for case, (first, second) in SAME.items():
        said = refusal(first + second)
        assert said is not None, case
        field = "workspace_id" if "chatgpt" in first else "key"
        assert f"connection.2.{field}: connection a asks for the same usage (same {field} and address)" in said, case
        assert "remove one of the two, or " in said, case
        assert len(said.splitlines()) == 1, case
        assert SECRET not in said, case


def test_a_graph_in_which_a_connection_of_the_environment_asks_for_the_same_is_refused(keys: None) -> None:
    Path("connections.toml").write_text(entry("emea"))
    said = "connections.toml, line 4: connection.1.key: connection openai asks for the same usage"
    with pytest.raises(SettingsError, match=re.escape(said)):
        build_definitions(settings_of(usage_connections="connections.toml", openai_admin_key=SECRET))


COSTS_ONLY = ", ".join(
    f"{endpoint.name} = false" for endpoint in PROVIDERS["openai"].endpoints if endpoint.name != "costs"
)


APART = {
    "two keys": (entry("a"), entry("b", key="another")),
    "workspaces": (entry("a", WS, provider="chatgpt"), entry("b", WS.replace("1", "2"), provider="chatgpt")),
    **{
        case: (entry("a", of_a), entry("b", of_b))
        for case, of_a, of_b in cases("""
            two projects -> project = "p1" -> project = "p2"
            two parts -> filters = { project_ids = ["p1"] } -> filters = { project_ids = ["p2"] }
            two parts of which nobody can tell
                -> filters = { project_ids = ["p1"] } -> filters = { api_key_ids = ["k2"] }
            two keys of which some reports cannot be asked
                -> filters = { api_key_ids = ["k1"] } -> filters = { api_key_ids = ["k2"] }
        """)
    },
}
"""What is different, or may be -> the entries of two connections."""


def test_what_may_be_different_is_not_refused(keys: None) -> None:
    assert {case: refusal(first + second) for case, (first, second) in APART.items()} == dict.fromkeys(APART)


# What only stored ids show


@pytest.fixture
def terminal(terminal: Terminal, tmp_path: Path) -> Terminal:
    """A person who has two keys of each organization and sets nothing in the environment."""
    terminal.set(NO_KEYS, USAGE_CONNECTIONS="connections.toml")
    for name, key in (("openai", "sk-admin-sandbox"), ("anthropic", "sk-ant-admin-sandbox")):
        (tmp_path / name).write_text(key)
        (tmp_path / f"{name}_2").write_text(f"{key}-2")
    return terminal


FEW = f"endpoints = {{ {COSTS_ONLY}, users = false, project_api_keys = false, service_accounts = false }}"


@needs("report")
def test_one_organization_through_two_keys_and_an_enterprise_and_its_organization_are_told_of(
    terminal: Terminal, sandbox: Sandbox, warehouse_with_views: NewWarehouse
) -> None:
    """The seats of the enterprise name the organization. That an organization's bill may lack a cost center, nothing
    shows."""
    terminal.set(GITHUB_COPILOT_BASE_URL=f"{sandbox.base_url}/github_copilot")
    (terminal.folder / "token").write_text("github-copilot-sandbox-token")
    others = ("ai_credits", "premium_requests", "users_1_day", "organization_1_day", "seats", "budgets")
    of_both = f"endpoints = {{ {', '.join(f'{name} = false' for name in others)} }}"
    organization, enterprise = (
        entry(name, f'{name} = "{id_}"\n{of_both}', provider="github_copilot", key="token")
        for name, id_ in (("organization", "acme-robotics"), ("enterprise", "acme"))
    )
    assert refusal(enterprise + enterprise.replace('name = "enterprise"', 'name = "again"')), "one enterprise, twice"
    by_two_keys = entry("a", FEW, key="openai") + entry("b", FEW, key="openai_2")
    budget = '[[budget]]\nname = "all"\namount = 1000\n'
    Path("connections.toml").write_text(by_two_keys + organization + enterprise + budget)
    with warehouse_with_views(terminal.folder).get_connection():
        stored_of(terminal, {Costs: ("a", "b"), BillingUsage: ("enterprise", "organization")})
        for name in ("a", "b"):
            Days(terminal.warehouse).derive("openai_allocated_costs", name, DAY)
        publish(terminal.warehouse)
        assert terminal.type("accounting", "--store").code == 0
        said = examined(terminal)
        page = terminal.type("report", "--refresh", "--text").lines
        budgets = terminal.warehouse.read("select first_day, doubts from costs.budget_status order by all").to_pylist()
        with time_machine.travel(NOW + timedelta(days=40)):
            command = ("statement", "--month", "2026-11", "--issue", "--accept", "provisional", "--out")
            issued = terminal.type(*command, "out")
            accepted = terminal.type(*command, "known", "--accept", "same_usage")
    assert "sk-" not in said.out
    of_keys, of_enterprise = sorted(line for line in said.lines if " connections " in line)
    assert re.fullmatch(
        r"FAIL  connections a and b: both store the usage of 1 days and have the same id in openai\.projects "
        r"\(of both\), so every dollar of these days is counted twice: remove one of them, or give them projects or "
        r"filters that do not overlap",
        of_keys,
    )
    assert of_enterprise.startswith("FAIL"), of_enterprise
    assert "the same id in github_copilot.seats (of both)" in of_enterprise
    lacking = [line for line in said.lines if "is not in the reports of its organizations" in line]
    assert [line.split(":")[0] for line in lacking] == ["OK    connection organization"]
    of_amount = next(n for n, line in enumerate(page) if line.startswith("How much in "))
    assert page[of_amount + 1] == (
        "  May be wrong, same_usage fails: a on 1 day, b on 1 day, enterprise on 1 day, organization on 1 day."
    )
    assert [line for line in page if line.startswith("a: same_usage")] == [
        line for line in page if "same_usage on 1 day: b stores the same usage (the same id in openai.projects" in line
    ]
    assert [row["doubts"] for row in budgets] == [None, "same_usage on 1 day"], "of October and November"
    assert issued.code == 2
    assert "2026-11 is contradicted: " in issued.err
    assert "enterprise and organization store the same usage on 1 days" in issued.err
    assert issued.err.endswith("; mend it, or --accept same_usage; nothing was issued\n")
    assert not (terminal.folder / "out").exists()
    assert accepted.code is None, accepted.err
    pages = PdfReader(next((terminal.folder / "known").glob("*.pdf"))).pages
    said_in_it = " ".join("\n".join(page.extract_text() for page in pages).split())
    for pair in ("a and b", "enterprise and organization"):
        assert f"Issued although it was known and accepted: same_usage: {pair} store the same usage" in said_in_it


DAY = last_days(1)[0]


def stored_of(terminal: Terminal, names: Mapping[type[Row], Sequence[str]]) -> None:
    """Store a day of reports of connections that have the same id: listed (a project, a seat) or stated by the bill."""
    days = Days(terminal.warehouse)
    for row in (Projects, Seats):
        with days.warehouse.transaction() as database:
            create_or_alter(database, Table(row))
    listed(days, Seats.table, connection="enterprise", id="alice", organization="another, of both")
    for report, connections in names.items():
        for name in connections:
            of = {"organization": "of both"} if name == "organization" else {}
            days.spent(report, raw(report, connection=name, usage_date=DAY, **of), connection=name, first=DAY)
            if report is Costs:
                listed(days, Projects.table, connection=name, id="of both")
