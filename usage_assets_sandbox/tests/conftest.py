"""One sandbox over real HTTP for this package's tests, back at a fresh start before each of them."""

from collections.abc import Iterator

import httpx
import pytest

from usage_assets_sandbox.tests.calling import NOW, SandboxCaller, running_sandbox


@pytest.fixture(scope="package")
def sandbox_url() -> Iterator[str]:
    """The address of the sandbox."""
    with running_sandbox(NOW) as url:
        yield url


@pytest.fixture
def sandbox(sandbox_url: str) -> Iterator[SandboxCaller]:
    """The sandbox at NOW with the default seed and nothing changed yet."""
    with httpx.Client(base_url=sandbox_url, timeout=30) as client:
        caller = SandboxCaller(client)
        caller.control("/reset", {"now": NOW.isoformat()})
        yield caller
