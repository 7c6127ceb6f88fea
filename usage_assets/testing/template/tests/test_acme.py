"""Acme keeps the rules of every provider."""

from collections.abc import Iterator

import pytest
from emulator import Acme
from usage_assets_acme.provider import ACME

from usage_assets.testing import Account, ProviderSuite


class TestAcme(ProviderSuite):
    """All rules, against the emulator."""

    provider = ACME

    @pytest.fixture(scope="class")
    @classmethod
    def account(cls) -> Iterator[Account]:
        """An account that is served while the tests run."""
        with Acme().serving() as account:
            yield account
