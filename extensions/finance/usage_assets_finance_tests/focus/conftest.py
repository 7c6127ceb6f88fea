"""Projects that read bills from files, and days to derive from."""

import pytest

from usage_assets_finance_tests.focus.automation import Automation
from usage_assets_tests.ephemeral import ephemeral_instances_keep_their_connection
from usage_assets_tests.fetching.conftest import one_plan_per_asset
from usage_assets_tests.fixtures import Sandbox
from usage_assets_tests.models.conftest import days, warehouse
from usage_assets_tests.terminal import Terminal

__all__ = ["days", "ephemeral_instances_keep_their_connection", "one_plan_per_asset", "warehouse"]


@pytest.fixture
def terminal(
    sandbox: Sandbox, auto: Automation, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Terminal:
    """A terminal in the project that a module calls ``auto``."""
    opened = Terminal.open(sandbox, auto.folder, monkeypatch, capfd)
    opened.set(auto.variables)
    return opened
