"""What a user may write into the environment, ``.env`` and the connections file, and what is said where it is wrong."""

import os
import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from usage_assets.config.address import ENCODING, warehouse_address
from usage_assets.config.settings import (
    Connection,
    ConnectionEntry,
    MissingKeyError,
    Settings,
    SettingsError,
    forget_exported_env_file,
)
from usage_assets.fetching.connected import endpoints_of
from usage_assets.providers import PROVIDERS
from usage_assets_tests.alone import is_there, needs
from usage_assets_tests.fixtures import ROOT, set_all
from usage_assets_tests.models.days import cases, lines, one_a_line

DOCS = ROOT / "docs"
SECRET = "sk-admin-very-secret-0123456789"
OPENAI = '[[connection]]\nname = "openai_emea"\nprovider = "openai"\nkey = "env:EMEA_KEY"\n'
Connections = Callable[..., Path]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours is set, and the current folder is empty: no ``.env`` of a developer is read."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def connections_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Connections:
    """Write the connections file and name it in the environment, beside other variables."""

    def write(text: str, **variables: str) -> Path:
        path = tmp_path / "connections.toml"
        path.write_text(text)
        set_all(monkeypatch, {"USAGE_CONNECTIONS": str(path), **variables})
        return path

    return write


def refusal(load: Callable[[], object]) -> str:
    """Return the one line that a refused setting is reported with."""
    with pytest.raises(SettingsError) as refused:
        load()
    assert len(str(refused.value).splitlines()) == 1
    return str(refused.value)


def by_name(settings: Settings) -> dict[str, Connection]:
    """Connections by their names."""
    return {connection.name: connection for connection in settings.connections()}


VARIABLES: Mapping[str, tuple[str, object]] = {
    **{
        name: (text, text)
        for name, text in lines("""
            OPENAI_BASE_URL       https://gateway.example/v1
            ANTHROPIC_BASE_URL    https://gateway.example
            CHATGPT_WORKSPACE_ID  ws-1
            CHATGPT_BASE_URL      https://gateway.example
            PORT_CLIENT_ID        client
            PORT_BASE_URL         https://api.us.getport.io
            USAGE_WAREHOUSE       /elsewhere/usage.duckdb
            USAGE_WAREHOUSE_DATA  s3://bucket/usage
            USAGE_PEOPLE          names
            USAGE_SCHEDULE        30 5 * * *
        """)
    },
    "USAGE_START_DATE": ("2024-02-29", date(2024, 2, 29)),
    "USAGE_CONNECTIONS": ("connections.toml", Path("connections.toml")),
    "USAGE_LOOKBACK_DAYS": ("30", 30),
    "USAGE_INCLUDE_TODAY": ("true", True),
    "USAGE_BACKFILL_HISTORY": ("false", False),
    **dict.fromkeys(
        one_a_line("""
            OPENAI_ADMIN_KEY
            ANTHROPIC_ADMIN_KEY
            CHATGPT_ANALYTICS_KEY
            PORT_CLIENT_SECRET
            USAGE_HASH_KEY
            USAGE_WEBHOOK_URL
        """),
        (f" {SECRET}\n", SecretStr(SECRET)),
    ),
}
"""Variable -> a text, and what it means."""


def test_every_variable_is_read_and_the_environment_comes_before_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("".join(f'{name}="{text.strip()}"\n' for name, (text, _) in VARIABLES.items()))
    expected = {name: value for name, (_, value) in VARIABLES.items()}
    assert {name: getattr(Settings.load(), name.lower()) for name in VARIABLES} == expected
    text = "USAGE_LOOKBACK_DAYS=3\nUSAGE_PEOPLE=hash\nUSAGE_UI_URL=http://ui\n"
    Path(".env").write_text(text, encoding=ENCODING)
    for name, (text, _) in VARIABLES.items():
        monkeypatch.setenv(name, text)
    assert {name: getattr(Settings.load(), name.lower()) for name in VARIABLES} == expected
    assert Settings.load().run_link("4f") == "http://ui/runs/4f"


def test_what_dagster_exported_of_the_env_file_is_read_from_the_file(
    monkeypatch: pytest.MonkeyPatch, connections_file: Connections
) -> None:
    connections_file(OPENAI)
    exported = {"OPENAI_ADMIN_KEY": "old", "EMEA_KEY": "old", "USAGE_HASH_KEY": "", "HTTPS_PROXY": "http://proxy:1"}
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in exported.items()))
    set_all(monkeypatch, {**exported, "CHATGPT_ANALYTICS_KEY": "only here"})
    forget_exported_env_file(Settings.load())
    Path(".env").write_text("OPENAI_ADMIN_KEY=new\nEMEA_KEY=new\n")
    keys = {each.name: each.key.get_secret_value() for each in Settings.load().connections() if each.key}
    assert keys == {"openai": "new", "openai_emea": "new", "chatgpt": "only here"}
    assert os.environ["HTTPS_PROXY"] == "http://proxy:1", "httpx reads it there"


def test_a_value_that_cannot_be_used_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, text in lines("""
        USAGE_UI_URL         https://me:password@dagster.internal
        USAGE_START_DATE     2025-02-30
        USAGE_PEOPLE         everything
        USAGE_LOOKBACK_DAYS  187
        USAGE_INCLUDE_TODAY  perhaps
    """):
        with monkeypatch.context() as patch:
            patch.setenv(variable, text)
            message = refusal(Settings.load)
        assert message.startswith(f"{variable}: ")
        assert message.endswith("(set in the environment or .env)")


def test_the_warehouse_is_the_same_file_wherever_a_run_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USAGE_WAREHOUSE", "usage.duckdb")
    assert Settings.load().warehouse.file == Path.cwd() / "usage.duckdb"
    monkeypatch.setenv("USAGE_WAREHOUSE", "~/usage.duckdb")
    assert Settings.load().warehouse.file == Path.home() / "usage.duckdb"


def test_hashing_people_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USAGE_PEOPLE", "hash")
    assert "USAGE_HASH_KEY" in refusal(lambda: Settings.load().people("hash"))
    monkeypatch.setenv("USAGE_HASH_KEY", SECRET)
    assert Settings.load().people("hash").hash_key == SECRET


def test_a_connection_of_the_file_stands_beside_the_default_one(connections_file: Connections) -> None:
    team = OPENAI.replace('"openai"', '"chatgpt"').replace("openai_emea", "team").replace("EMEA_KEY", "TEAM_KEY")
    connections_file(
        OPENAI
        + 'base_url = "https://gateway.example/v1"\nstart_date = 2025-06-01\n'
        + team
        + 'workspace_id = "ws-2"\n',
        OPENAI_ADMIN_KEY="default",
        EMEA_KEY=SECRET,
    )
    connections = by_name(Settings.load())
    assert list(connections) == ["openai", "openai_emea", "team"]
    emea, of_team = connections["openai_emea"], connections["team"]
    assert (emea.required_key(), emea.base_url) == (SECRET, "https://gateway.example/v1")
    assert emea.start_date == date(2025, 6, 1)
    assert (of_team.ids["workspace_id"], of_team.base_url) == ("ws-2", "https://api.chatgpt.com")
    with pytest.raises(MissingKeyError, match="connection team: no key: set TEAM_KEY"):
        of_team.required_key()


def test_a_connection_starts_no_earlier_than_the_first_partition(connections_file: Connections) -> None:
    connections_file(OPENAI + "start_date = 2020-01-01\n")
    assert by_name(Settings.load())["openai_emea"].start_date == date(2025, 1, 1)


def test_a_key_may_stand_in_a_file_of_its_own(connections_file: Connections, tmp_path: Path) -> None:
    connections_file("\ufeff" + OPENAI.replace("env:EMEA_KEY", f"file:{tmp_path}/key"))
    with pytest.raises(MissingKeyError, match=r"no key: write it into file .*/key$"):
        by_name(Settings.load())["openai_emea"].required_key()
    (tmp_path / "key").write_text(f"{SECRET}\n", encoding=ENCODING)
    assert by_name(Settings.load())["openai_emea"].required_key() == SECRET


def test_a_key_itself_is_refused_without_being_repeated(connections_file: Connections) -> None:
    for text in (SECRET, f"env:{SECRET}", "env:", "file:", f"https://{SECRET}", "", f"ENV:{SECRET}"):
        path = connections_file(OPENAI.replace("env:EMEA_KEY", text))
        message = refusal(Settings.load().connections)
        assert message.startswith(f"{path}, line 4: connection.1.key: write env:NAME or file:PATH"), text
        assert SECRET not in message, text


def test_every_option_of_a_connection_is_read_and_may_be_left_out(connections_file: Connections) -> None:
    """The policy is USAGE_PEOPLE's where the connection has none of its own."""
    connections_file(
        OPENAI.replace("openai_emea", "plain")
        + OPENAI
        + 'organization = "org-1"\nproject = "proj_1"\npeople = "hash"\nrequests_per_second = 5\nsettling_days = 0\n'
        + "endpoints = { usage_decisions = true, costs = false }\n"
        + "[connection.filters]\n"
        + 'models = [\n  "gpt-5",\n  "gpt-5-mini",\n]\nbatch = false\n',
        USAGE_HASH_KEY=SECRET,
        USAGE_PEOPLE="names",
    )
    plain, emea = Settings.load().connections()
    assert emea.ids == {"organization": "org-1", "project": "proj_1"}
    assert (emea.people, emea.requests_per_second, emea.settling_days) == ("hash", 5, 0)
    assert emea.endpoints == {"usage_decisions": True, "costs": False}
    assert emea.filters == {"models": ("gpt-5", "gpt-5-mini"), "batch": ("false",)}
    assert (plain.people, plain.requests_per_second, plain.settling_days) == ("names", None, None)
    assert (plain.ids, plain.endpoints, plain.filters) == ({}, {}, {})


MISTAKES = [
    *cases(f"""
        OPENAI; api_key = "{SECRET}" -> line 5: connection.1.api_key: unknown; known: name, provider
        [[connections]]; name = "x" -> line 1: connections: unknown; known: connection, port_relation
        OPENAI; [[connection]]; name = "Open AI"; provider = "openai"; key = "env:K" -> line 6: connection.2.name:
        OPENAI; [[connection]]; name = "openai_emea"; provider = "openai"; key = "env:K"
            -> line 6: connection.2.name: used twice
        [[connection]]; name = "x"; provider = "azure"; key = "env:K"
            -> line 3: connection.1.provider: Input should be 'openai',
        [[connection]]; name = "x"; provider = "openai"; key = ["{SECRET}"] -> line 4: connection.1.key:
        OPENAI; base_url = "https://me:{SECRET}@gateway" -> line 5: connection.1.base_url: must look like
        OPENAI; base_url = "http://gateway.example" -> line 5: connection.1.base_url: would show the key
        OPENAI; organization = "org 1" -> line 5: connection.1.organization:
        OPENAI; workspace_id = "../other" -> line 5: connection.1.workspace_id:
        OPENAI; start_date = "soon" -> line 5: connection.1.start_date:
        OPENAI; start_date = 2999-01-01 -> line 5: connection.1.start_date: is in the future
        OPENAI; ; [connection.endpoints]; ; costs = 'no' -> line 8: connection.1.endpoints.costs:
        OPENAI; endpoints = {{ cost = false }} -> line 5: connection.1.endpoints.cost: openai has only costs, usage_
        OPENAI; filters = {{ regions = ['eu'] }} -> line 5: connection.1.filters.regions: unknown; known:
        OPENAI; filters = {{ models = [] }} -> line 5: connection.1.filters.models:
        OPENAI; filters.models = [; 'gpt-5',; 5,; ] -> line 5: connection.1.filters.models.2:
        OPENAI; people = 'hash' -> line 5: connection.1.people: hash needs USAGE_HASH_KEY
        OPENAI; requests_per_second = -1 -> line 5: connection.1.requests_per_second:
        OPENAI; requests_per_second = 0 -> line 5: connection.1.requests_per_second:
        OPENAI; requests_per_second = inf -> line 5: connection.1.requests_per_second:
        OPENAI; requests_per_second = true -> line 5: connection.1.requests_per_second:
        OPENAI; settling_days = -1 -> line 5: connection.1.settling_days:
        OPENAI; settling_days = 61 -> line 5: connection.1.settling_days:
        OPENAI; settling_days = 7.0 -> line 5: connection.1.settling_days:
        OPENAI; settling_days = true -> line 5: connection.1.settling_days:
        OPENAI; settling_days = '7' -> line 5: connection.1.settling_days:
        OPENAI; [[connection]]; name = "claude"; provider = "anthropic"; key = "env:K"; ; filters = {{ sizes = ['1'] }}
            -> line 10: connection.2.filters.sizes: the endpoints that are on take
        [[connection]]; name = "x"; provider = "chatgpt"; key = "env:K"; workspace_id = "ws"; organization = "org"
            -> line 6: connection.1.organization: chatgpt is not asked for one
        OPENAI; [[connection]]; name = "x"; provider = "chatgpt"; key = "env:K"
            -> line 5: connection.2.workspace_id: missing; chatgpt is asked for
        OPENAI; [[port_relation]]; from = "user"; blueprint = "_user"; to = 1
            -> line 8: port_relation.1.to: unknown; known: from, blueprint, targets
        [[port_relation]]; from = "team"; blueprint = "_user"
            -> line 2: port_relation.1.from: Input should be 'project' or 'user'
        [[port_relation]]; from = "user"; blueprint = "my users" -> line 3: port_relation.1.blueprint:
        [[port_relation]]; from = "user"; blueprint = "a=b" -> line 3: port_relation.1.blueprint:
        [[port_relation]]; from = "user"; blueprint = ".." -> line 3: port_relation.1.blueprint:
        [[port_relation]]; from = "user"; blueprint = "{"x" * 101}" -> line 3: port_relation.1.blueprint:
        [[port_relation]]; from = "user"; blueprint = "_user"; targets = {{}} -> line 4: port_relation.1.targets:
        [[port_relation]]; from = "project"; blueprint = "service"; [port_relation.targets];
            proj_1 = "billing/Dienst"; "ws-2" = "b@+=:"; proj_3 = 5 -> line 7: port_relation.1.targets.proj_3:
        [[port_relation]]; from = "user"; blueprint = "_user"; OPENAI; [[port_relation]]; from = "project";
            blueprint = "service"; targets.a = "b"; [[port_relation]]; from = "user"; blueprint = "u"
            -> line 13: port_relation.3.from: used twice; there is one of each
    """),
    *cases(
        """
        OPENAI; [[connection]]; name = "gateway"; provider = "litellm"; key = "env:K"
            -> line 5: connection.2.base_url: missing; a connection of provider litellm needs it, or LITELLM_
        """
        if is_there("vendors")
        else ""
    ),
]
"""A connections file, one field after the other, and what is said of it."""


def test_a_mistake_in_the_connections_file_is_named_by_file_line_and_field(
    connections_file: Connections, subtests: pytest.Subtests
) -> None:
    def used(settings: Settings) -> object:
        connections = settings.connections()
        return [endpoints_of(PROVIDERS[each.provider], each) for each in connections], settings.port_relations()

    for text, said in MISTAKES:
        with subtests.test(text):
            path = connections_file(text.replace("OPENAI; ", OPENAI).replace("; ", "\n"))
            message = refusal(partial(used, Settings.load()))
            assert message.startswith(f"{path}, {said}")
            assert SECRET not in message


def test_what_is_no_toml_is_named_by_file_and_line(connections_file: Connections) -> None:
    for text, line in (("[[connection]", 1), (OPENAI + f'key = "{SECRET}"\n', 5)):
        path = connections_file(text)
        message = refusal(Settings.load().connections)
        assert message.startswith(f"USAGE_CONNECTIONS: {path}: not a TOML file: ")
        assert f"(at line {line}, column " in message
        assert SECRET not in message


def example_of(page: str, number: int = 0) -> str:
    """The TOML that a page of the documentation shows."""
    return (DOCS / page).read_text(encoding="utf-8").split("```toml\n")[number + 1].partition("```")[0]


@needs("vendors")
def test_the_documented_connections_can_be_used(connections_file: Connections) -> None:
    example = example_of("connect.md")
    connections_file(example, USAGE_HASH_KEY=SECRET)
    emea, research, analytics, files, copilot, gateway, router, editors = Settings.load().connections()
    assert {endpoint.name for endpoint in endpoints_of(PROVIDERS["openai"], emea)} >= {"costs", "usage_decisions"}
    assert endpoints_of(PROVIDERS["chatgpt"], research)
    assert [endpoint.name for endpoint in endpoints_of(PROVIDERS["anthropic_analytics"], analytics)] == [
        "usage",
        "cost",
        "cost_report",
        "cost_by_agent",
    ]
    assert (files.base_url, files.has_access, files.required_key()) == ("s3://bills/focus/", True, "")
    assert copilot.ids == {"organization": "acme"}
    assert gateway.base_url == "https://litellm.example.com"
    assert router.base_url == "https://openrouter.ai/api/v1"
    assert (editors.base_url, editors.ids) == ("https://api.cursor.com", {})
    assert set(ConnectionEntry.model_fields) <= set(re.findall(r"\w+", example)), "the example shows every option"


def test_the_documented_relations_can_be_used(connections_file: Connections) -> None:
    connections_file(example_of("port.md"))
    projects, users = Settings.load().port_relations()
    assert projects.target(["proj_abc123"]) == "billing-api"
    assert users.target(["ada@example.com"]) == "ada@example.com"


def test_the_documented_rates_owners_invoices_and_purchases_can_be_used(connections_file: Connections) -> None:
    connections_file(example_of("money.md"))
    stated = Settings.load().accounting()
    connections_file(example_of("money.md", 2), OPENAI_ADMIN_KEY=SECRET)
    of_tags = Settings.load().accounting().tag_allocations
    assert [(entry.connection, entry.gateway, entry.tags) for entry in of_tags] == [("openai", "gateway", "team:")]
    assert {name for name in vars(stated) if name != "added" and getattr(stated, name)} == set(vars(stated)) - {
        "added",  # by extensions
        "tag_allocations",
        "separate_bills",
        "persons",  # they are stored as people
    }


def test_a_connections_file_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, connections_file: Connections, tmp_path: Path
) -> None:
    path = connections_file("")
    path.write_bytes(b"\xff\xfe")
    assert refusal(Settings.load().connections).startswith(f"USAGE_CONNECTIONS: {path}: not a TOML file: ")
    path.write_text("")
    assert len(Settings.load().connections()) == 3, "an empty file changes nothing"
    path.unlink()
    assert refusal(Settings.load().connections) == f"USAGE_CONNECTIONS: {path}: No such file or directory"
    monkeypatch.setenv("USAGE_CONNECTIONS", str(tmp_path))
    assert refusal(Settings.load().connections) == f"USAGE_CONNECTIONS: {tmp_path}: Is a directory"


def test_a_connection_cannot_have_the_name_of_a_configured_default(
    monkeypatch: pytest.MonkeyPatch, connections_file: Connections
) -> None:
    path = connections_file(OPENAI.replace("openai_emea", "openai"))
    assert list(by_name(Settings.load())) == ["openai"]
    monkeypatch.setenv("OPENAI_ADMIN_KEY", SECRET)
    message = refusal(Settings.load().connections)
    assert message.startswith(f"{path}, line 2: connection.1.name: OPENAI_ADMIN_KEY is set, which makes a connection")
    assert SECRET not in message


def test_no_secret_shows_when_a_setting_is_printed(connections_file: Connections, tmp_path: Path) -> None:
    variables = ("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY", "PORT_CLIENT_SECRET", "EMEA_KEY")
    (tmp_path / "key").write_text(SECRET)
    connections_file(
        OPENAI + OPENAI.replace("openai_emea", "of_file").replace("env:EMEA_KEY", f"file:{tmp_path}/key"),
        PORT_CLIENT_ID="client",
        USAGE_WEBHOOK_URL=f"https://hooks.example/{SECRET}",
        **dict.fromkeys(variables, SECRET),
    )
    settings = Settings.load()
    connections = settings.connections()
    assert [connection.required_key() for connection in connections] == [SECRET] * 5
    printed: list[Any] = [settings, settings.port_account, connections, *(c.key_reference for c in connections)]
    assert SECRET not in "".join(f"{thing!r} {thing}" for thing in printed)
    assert SECRET not in settings.model_dump_json()


def test_every_secret_is_known_to_what_must_not_show_it(connections_file: Connections) -> None:
    variables = ("OPENAI_ADMIN_KEY", "PORT_CLIENT_SECRET", "USAGE_HASH_KEY", "EMEA_KEY", "PGPASSWORD")
    secrets = {variable: f"{n}-{sha256(variable.encode()).hexdigest()}" for n, variable in enumerate(variables)}
    secrets["USAGE_WEBHOOK_URL"] = "https://hooks.slack.com/services/T0/B0/xYz"
    connections_file(OPENAI, **secrets)
    redacted = Settings.load().redactor().redacted
    shown = {variable: redacted(f"it says {secret}.") for variable, secret in secrets.items()}
    assert shown == dict.fromkeys(variables, "it says ***.") | {
        "USAGE_WEBHOOK_URL": "it says https://hooks.slack.com***."
    }
    said = "https://dagster.example/runs: 3 services; OpenAI's key starts with sk-admin-"
    assert redacted(said) == said


# A query reads where the warehouse is without all other settings


LAKE = "ducklake:postgres:host=db dbname=usage"


@pytest.mark.parametrize(
    ("file", "environment"),
    [
        (None, {}),
        ("USAGE_WAREHOUSE=a.duckdb", {}),
        ("USAGE_WAREHOUSE=a.duckdb", {"USAGE_WAREHOUSE": "b.duckdb"}),
        ("USAGE_WAREHOUSE=a.duckdb", {"USAGE_WAREHOUSE": ""}),
        ("export USAGE_WAREHOUSE=${HERE}/a.duckdb", {"HERE": "/there"}),
        ("USAGE_WAREHOUSE=~/a.duckdb", {"HOME": "/home/somebody"}),
        (f"USAGE_WAREHOUSE='{LAKE}'\nUSAGE_WAREHOUSE_DATA=s3://bucket/folder", {}),
        (f"USAGE_WAREHOUSE='{LAKE}'", {"usage_warehouse_data": " lake "}),
    ],
)
def test_the_address_of_the_warehouse_is_that_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, file: str | None, environment: dict[str, str]
) -> None:
    if file is not None:
        Path(".env").write_text(file)
    set_all(monkeypatch, environment)
    address = warehouse_address()
    assert address == Settings.load().warehouse
    assert address.file == Settings.load().warehouse.file


def test_what_is_wrong_with_the_address_is_said_as_the_settings_say_it() -> None:
    for file in (
        b"USAGE_WAREHOUSE=\xff\xfe",
        b"USAGE_WAREHOUSE=mysql:usage",
        b"USAGE_WAREHOUSE='ducklake:postgres:host=db password=secret'",
        b"USAGE_WAREHOUSE=ducklake:postgres:",
        b"USAGE_WAREHOUSE=ducklake:postgres:\nUSAGE_WAREHOUSE_DATA=",
    ):
        Path(".env").write_bytes(file)
        with pytest.raises(SettingsError) as by_settings:
            _ = Settings.load().warehouse
        with pytest.raises(SettingsError) as refused:
            warehouse_address()
        assert str(refused.value) == str(by_settings.value)
