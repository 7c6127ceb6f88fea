"""Finds and deletes entities of a catalog that only the published Ocean mappings wrote: nothing updates them any more.

The first push takes over entities whose identifiers are the same in both (docs/port.md).
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from usage_assets.features.port.catalog.client import PortClient
from usage_assets.features.port.catalog.sync import UNKNOWN, Acknowledged, Changes, Failure, push

MADE_BY_OCEAN = "port-ocean/"
"""How the User-Agent of every Ocean integration begins, and with it the data source of what it writes."""

_DAY = r"\d{4}-\d{2}-\d{2}"
_STAMPED = re.compile(r"(?P<model>.*)-(?P<seconds>0|\d{10})")
_SECONDS_OF_A_DAY = 24 * 60 * 60


def _is_undated(entity: Mapping[str, Any]) -> bool:
    return bool(entity["identifier"] == "daily-unknown")


def _is_of_five_minutes(entity: Mapping[str, Any]) -> bool:
    """`<model>-<seconds>` with no model, no time (0), or one within the day."""
    stamped = _STAMPED.fullmatch(entity["identifier"])
    if not stamped:
        return False
    seconds = int(stamped["seconds"])
    return not stamped["model"] or not seconds or seconds % _SECONDS_OF_A_DAY != 0


def _is_of_no_model(entity: Mapping[str, Any]) -> bool:
    return re.fullmatch(f"-{_DAY}", entity["identifier"]) is not None


def _is_of_nobody(entity: Mapping[str, Any]) -> bool:
    """`<organization>-unknown-<day>`, and no API key whose name ends in "unknown"."""
    organization = re.escape(str(entity["properties"].get("organization_id")))
    return re.fullmatch(f"{organization}-unknown-{_DAY}", entity["identifier"]) is not None


PUBLISHED_ONLY: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "openai_daily_usage": _is_undated,
    "openai_model_usage": _is_of_five_minutes,
    "claude_model_usage": _is_of_no_model,
    "claude_code_analytics": _is_of_nobody,
}
"""Blueprint -> whether the published mapping, and never we, names an entity so."""


def leftovers(client: PortClient, blueprint: str, ours: Collection[str]) -> list[str]:
    """Identifiers of a blueprint's entities that only the published mappings make, and that an Ocean integration made.

    ``ours`` are the identifiers that the ledger has: those are never among them.
    """
    if blueprint not in PUBLISHED_ONLY:
        return []
    is_published_only = PUBLISHED_ONLY[blueprint]
    found = client.search(blueprint, made_by=MADE_BY_OCEAN)
    return sorted(
        entity["identifier"] for entity in found if is_published_only(entity) and entity["identifier"] not in ours
    )


def remove(client: PortClient, identifiers: Mapping[str, Iterable[str]]) -> Sequence[Failure]:
    """Delete entities, blueprint -> identifiers. Returns those that Port refused to, with its reasons."""
    doomed = [Acknowledged(name, each, date.min, UNKNOWN) for name, some in identifiers.items() for each in some]
    return push(client, Changes(deletes=tuple(doomed)), _NoLedger()).failures


class _NoLedger:
    """Nothing is written down of entities that never were ours."""

    def mark(self, lines: Sequence[Acknowledged], push: str) -> None:
        pass

    def acknowledge(self, held: Sequence[Acknowledged], gone: Sequence[Acknowledged], push: str) -> None:
        pass
