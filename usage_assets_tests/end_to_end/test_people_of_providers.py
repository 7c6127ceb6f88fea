"""A stored day of people with an id, a login or an address at each of five providers: each of them is one person."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from usage_assets.core.people import People, Policy
from usage_assets_sandbox.company import Company, email
from usage_assets_sandbox.company_github_copilot import DEVELOPERS
from usage_assets_sandbox.control import DEFAULT_SEED
from usage_assets_tests.end_to_end.conftest import Project, open_project
from usage_assets_tests.fixtures import IS_NIGHT, Sandbox, last_days

DAYS = last_days(1)
NAMES = [login.removesuffix("-acme") for login in DEVELOPERS]
COMPANY = Company(DEFAULT_SEED)
COSTS: Mapping[str, tuple[str, ...]] = {
    "openai": ("costs", "costs/daily_costs"),
    "anthropic": ("claude_code", "claude_code/daily_costs"),
    "chatgpt": ("codex_usage", "codex_usage/daily_costs"),
    "cursor": ("usage_events", "usage_events/daily_costs"),
    "copilot": ("ai_credits", "users_1_day", "ai_credits/daily_costs", "ai_credits/allocated_costs"),
}
"""Connection -> the assets of its costs that name people."""
CONNECTION = '[[connection]]\nname = "{}"\nprovider = "{}"\nkey = "file:{}"\n{}\n'
PERSON = '[[person]]\nname = "{}"\naddresses = ["{}"]\nlogins = ["{}-ACME"]\nids = ["{}", "{}"]\n'
PEOPLE_AT = """
select person_id, count(distinct people.provider) as providers, count(distinct id) as ids
from costs.people
where kind <> 'service_account'
group by all
"""


def stated(folder: Path) -> dict[str, str]:
    """Variables with a connections file that names everybody, in an order of its own."""
    keys = {"cursor": "key_cursor-sandbox", "copilot": "github-copilot-sandbox-token"}
    for name, key in keys.items():
        (folder / name).write_text(key)
    people = [
        PERSON.format(
            name.title(), email(name), name, COMPANY.identifier("user-", name), COMPANY.identifier("user_01", name)
        )
        for name in reversed(NAMES)
    ]
    (folder / "connections.toml").write_text(
        "".join(
            [
                CONNECTION.format("cursor", "cursor", folder / "cursor", ""),
                CONNECTION.format("copilot", "github_copilot", folder / "copilot", 'organization = "acme-robotics"'),
                *people,
            ]
        )
    )
    return {"USAGE_CONNECTIONS": str(folder / "connections.toml"), "USAGE_HASH_KEY": "key"}


def rows(project: Project, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project.warehouse.read(query).to_pylist()
    return found


@pytest.mark.parametrize("policy", get_args(Policy) if IS_NIGHT else ["names"])
def test_everybody_is_one_person_over_five_providers(sandbox: Sandbox, tmp_path: Path, policy: Policy) -> None:
    variables = {
        **stated(tmp_path),
        "USAGE_PEOPLE": policy,
        "CURSOR_BASE_URL": f"{sandbox.base_url}/cursor",
        "GITHUB_COPILOT_BASE_URL": f"{sandbox.base_url}/github_copilot",
    }
    with open_project(sandbox, tmp_path, variables) as project:
        for connection, assets in COSTS.items():
            assert project.fetch(connection, DAYS, *assets).success
        people = rows(project, PEOPLE_AT)
        assert {"openai:", "chatgpt:", "github_copilot:"} >= {
            row["person_id"].partition(":")[0] + ":" for row in people
        }
        assert max(row["providers"] for row in people) == 5
        assert len(people) == len({name for name in NAMES if is_stored(project, policy, name)})
        names = {row["person_name"] for row in rows(project, "select person_name from costs.by_person")}
        assert ({*map(str.title, NAMES)} & names != set()) == (policy == "names")
        assert not [name for name in names if "@" in name]


def is_stored(project: Project, policy: Policy, name: str) -> bool:
    """Whether any provider has named somebody that day."""
    own = {f"{name}-acme", COMPANY.identifier("user-", name), People(policy, "key").only_id(str(email(name)))}
    return any(row["id"] in own for row in rows(project, "select id from costs.people"))
