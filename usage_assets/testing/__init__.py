"""Tests that every provider passes (``ProviderSuite``), and a kit to emulate an API for them. docs/providers.md shows
how a package uses both. Needs pytest; nothing of the product imports it.
"""

import pytest

pytest.register_assert_rewrite("usage_assets.testing.suite")

from usage_assets.testing.account import Account, last_days  # noqa: E402 - after its assertions are to be explained
from usage_assets.testing.emulator import Emulator, Refused  # noqa: E402
from usage_assets.testing.suite import ProviderSuite  # noqa: E402
from usage_assets.testing.trial import trial  # noqa: E402
from usage_assets.testing.wire import serve  # noqa: E402

__all__ = ["Account", "Emulator", "ProviderSuite", "Refused", "last_days", "serve", "trial"]
