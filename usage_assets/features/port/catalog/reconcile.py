"""Compares the entities in Port with those it has acknowledged, because people delete and edit them there. Changes
nothing: a push (sync.py) resends what differs.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from usage_assets.features.port.catalog.sync import Acknowledged, Entity, Targets


@dataclass(frozen=True)
class Settled:
    """An entity that, as far as we know, Port holds as the tables have it."""

    line: Acknowledged
    encoded: bytes
    """As it would be sent: decoded it would take several times the memory."""


@dataclass
class Findings:
    """What has become of a blueprint's entities in Port."""

    deleted: list[Acknowledged] = field(default_factory=list)
    edited: list[Acknowledged] = field(default_factory=list)
    """Title, a property of ours or a relation of ours differs."""
    unknown: set[str] = field(default_factory=set)
    """Identifiers that no ledger line has: entities of others, or of ours that were lost track of."""


def settled(desired: Iterable[Entity], acknowledged: Iterable[Acknowledged], targets: Targets) -> Iterator[Settled]:
    """Yield the entities without unsent changes. Only for these is it known that a difference is somebody's edit.

    Their targets are looked up again: if a missing target exists now, the entity differs.
    """
    held = {(line.blueprint, line.identifier): line for line in acknowledged}
    pairs = [(held.get((entity.blueprint, entity.identifier)), entity) for entity in desired]
    known = [(line, entity) for line, entity in pairs if line and line.content_hash == entity.content_hash()]
    targets.look_up(entity for _, entity in known)
    for line, entity in known:
        yield Settled(line, entity.without(targets.missing).encoded())


def compare(expected: Iterable[Settled], found: Iterable[Mapping[str, Any]], known: Collection[str]) -> Findings:
    """Compare a blueprint's entities with those that Port shows (decimals exact), one by one as they come.

    ``known`` are the identifiers that the ledger has of the blueprint, whichever connection's.
    """
    findings = Findings()
    missing = {entity.line.identifier: entity for entity in expected}
    for shown in found:
        identifier = shown["identifier"]
        entity = missing.pop(identifier, None)
        if entity and not _is_as_sent(entity.encoded, shown):
            findings.edited.append(entity.line)
        if not entity and identifier not in known:
            findings.unknown.add(identifier)
    findings.deleted = [entity.line for entity in missing.values()]
    return findings


def _is_as_sent(encoded: bytes, shown: Mapping[str, Any]) -> bool:
    """Whether title, properties and relations that were sent are shown; what else people have there is theirs."""
    sent = msgspec.json.decode(encoded)
    return is_same(sent.get("title", shown.get("title")), shown.get("title")) and all(
        is_same(value, shown.get(section, {}).get(key))
        for section in ("properties", "relations")
        for key, value in sent.get(section, {}).items()
    )


def is_same(sent: object, shown: object) -> bool:
    """Numbers differ where their nearest doubles do, and times where the moments do: Port may spell both otherwise."""
    match sent, shown:
        case (bool(), _) | (_, bool()):
            return sent is shown
        case (int() | float(), int() | Decimal()):
            return float(sent) == float(shown)
        case str(), str():
            return sent == shown or _moment(sent) == _moment(shown) is not None
        case list(), list():
            return len(sent) == len(shown) and all(map(is_same, sent, shown))
        case dict(), dict():
            return sent.keys() == shown.keys() and all(is_same(value, shown[key]) for key, value in sent.items())
        case _:
            return sent == shown


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if "T" in text else None
    except ValueError:
        return None
