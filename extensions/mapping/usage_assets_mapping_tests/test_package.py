"""What the package consists of: its SQL, and what stays in Port where it is missing."""

from pathlib import Path

import usage_assets_mapping
from usage_assets.features.port.graph import PORT_RECONCILE_JOB
from usage_assets.models.model import sql_files
from usage_assets_mapping_tests.test_in_port import DAYS, Account, account, ran, ran_account, user
from usage_assets_tests.alone import core_alone

__all__ = ["account", "ran", "ran_account", "user"]

PACKAGE = Path(usage_assets_mapping.__file__).parent


def test_its_sql_is_found_and_without_it_is_not() -> None:
    [warning] = sql_files("warnings/mapping_entities.*")
    assert warning.is_relative_to(PACKAGE)
    with core_alone():
        assert sql_files("warnings/mapping_entities.*") == ()


def test_without_it_port_keeps_what_a_mapping_made(ran_account: Account) -> None:
    """Other connections are pushed and reconciled meanwhile, and this one is fetched."""
    account, [first, *_] = ran_account, DAYS
    before = {name: account.shown(name) for name in ("model_use", "my_workspace")}
    assert all(before.values())
    with core_alone():
        account.reload(None)
        project = account.project
        account.restate(first, "scale")
        assert project.fetch("anthropic", DAYS, "usage_messages").success
        assert project.fetch("openai", DAYS, "costs").success
        pushing = {key.path[0] for job in ("port_sync", PORT_RECONCILE_JOB) for key in project.keys_of(job)}
        assert "anthropic" not in pushing >= {"openai"}
        assert project.push_of("openai", DAYS).success
        assert project.run(PORT_RECONCILE_JOB, [*project.keys_of(PORT_RECONCILE_JOB)]).success
        assert account.due(pushes=True) == {}
        assert {name: account.shown(name) for name in before} == before
    account.reload(None)
    account.run()
    after = {name: account.shown(name) for name in before}
    assert after != before
    assert {name: each.keys() for name, each in after.items()} == {name: each.keys() for name, each in before.items()}
