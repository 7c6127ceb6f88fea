"""LiteLLM's reports of daily activity: its response models and routes, and what we read of them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from usage_assets.providers import PROVIDERS
from usage_assets_tests.drift.ours import spelled
from usage_assets_tests.drift.sdk import Package
from usage_assets_tests.drift.surface import Asked, Surface, normalized
from usage_assets_vendors.litellm.activity import NOT_KEPT, OF_PAGES, Activity, Breakdown, KeyMetadata, PartMetadata

ANSWER = ast.Name(id="SpendAnalyticsPaginatedResponse")
ROUTE = re.compile(r'@router\.get\(\s*"([^"]*(?:/activity|/spend)[^"]*)"')


def theirs(package: Path) -> Surface:
    """The routes about activity and spend. Those of days have the fields of one response model."""
    known = Package(package / "types/proxy/management_endpoints")
    place = package / "types/proxy/management_endpoints/common_daily_activity.py"
    fields = {name for path, _ in known.leaves(place, ANSWER) for name in _names(path)}
    routes = {
        normalized(route) for path in (package / "proxy").rglob("*.py") for route in ROUTE.findall(path.read_text())
    }
    return {route: Asked(fields=fields if route.endswith("/daily/activity") else set()) for route in sorted(routes)}


def ours() -> Surface:
    """What the provider's declarations read: the same of each report."""
    fields = {f"metrics.{name}" for name in NOT_KEPT} | {f"breakdown.{name}" for name in spelled(Breakdown)}
    fields |= {name for name in spelled(Activity) if name.startswith("metrics.")}
    fields |= {f"metadata.{name}" for model in (KeyMetadata, PartMetadata) for name in spelled(model)}
    return {normalized(endpoint.path): Asked(fields=fields | {"page"}) for endpoint in PROVIDERS["litellm"].endpoints}


def _names(path: str) -> Iterator[str]:
    """What a field is called wherever it stands, and the cut that it is in: all cuts have alike fields."""
    *outer, name = path.split(".")
    if outer[:2] == ["results", "breakdown"]:
        yield ".".join([*outer, name][1:3])
    if name == "*" or "guardrails" in outer:
        return
    if outer == ["metadata"]:
        yield "page" if OF_PAGES.match(name) else f"page.{name}"
    elif outer[-1:] in (["metrics"], ["metadata"]):
        yield f"{outer[-1]}.{name}"
