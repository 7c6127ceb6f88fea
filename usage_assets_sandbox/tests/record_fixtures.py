"""`python -m usage_assets_sandbox.tests.record_fixtures` records the sandbox's pages and every checksum anew."""

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx

from usage_assets_sandbox.tests.calling import (
    ANALYTICS_ENDPOINTS,
    COPILOT_ENDPOINTS,
    COPILOT_FILES,
    CURSOR_ENDPOINTS,
    ENDPOINTS,
    ENGAGEMENT_ENDPOINTS,
    FIXTURES,
    GATEWAY_ENDPOINTS,
    LEGACY_ENDPOINTS,
    NOW,
    SandboxCaller,
    running_sandbox,
)

FROM, TO = date(2026, 11, 14), date(2026, 11, 16)  # a weekend: all there is, on small pages
CHECKSUMS = FIXTURES / "CHECKSUMS.sha256"


def recorded_queries() -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """Each recorded file with the path and query that it is the answer to."""
    for endpoint in ENDPOINTS.values():
        folder = FIXTURES / endpoint.provider / endpoint.name
        query = {**endpoint.window(FROM, TO), **endpoint.finest, "limit": 31}
        yield folder / "recorded.json", endpoint.path, query
    of_a_day = LEGACY_ENDPOINTS | ANALYTICS_ENDPOINTS | COPILOT_ENDPOINTS | GATEWAY_ENDPOINTS | CURSOR_ENDPOINTS
    of_a_day |= ENGAGEMENT_ENDPOINTS
    for endpoint in of_a_day.values():
        if endpoint.name == "premium_requests":  # there are none since June 2026
            continue
        folder = FIXTURES / endpoint.provider / endpoint.name
        query = {**endpoint.window(FROM, FROM + timedelta(days=1)), **endpoint.finest}
        yield folder / "recorded.json", endpoint.path, query
    for endpoint in COPILOT_FILES.values():
        yield FIXTURES / endpoint.provider / endpoint.name / "recorded.ndjson", endpoint.path, dict(endpoint.finest)
    codex = ENDPOINTS["chatgpt", "codex_usage"]
    yield (
        FIXTURES / "chatgpt" / "codex_usage" / "recorded_workspace.json",
        codex.path,
        {**codex.window(FROM, TO), "group_by": "day", "group": "workspace"},
    )


def checksums() -> str:
    """The lines of CHECKSUMS.sha256, as sha256sum writes them."""
    files = sorted(path for path in FIXTURES.rglob("*") if path.is_file() and path != CHECKSUMS)
    digests = ((hashlib.sha256(path.read_bytes()).hexdigest(), path.relative_to(FIXTURES)) for path in files)
    return "".join(f"{digest}  {path.as_posix()}\n" for digest, path in digests)


def main() -> None:
    """Record."""
    with running_sandbox(NOW) as url, httpx.Client(base_url=url) as client:
        for path, route, query in recorded_queries():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(SandboxCaller(client).get(route, query).raise_for_status().content)
    CHECKSUMS.write_text(checksums())


if __name__ == "__main__":
    main()
