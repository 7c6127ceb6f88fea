"""Computes and pushes the difference between the entities that should be in Port and those it has acknowledged.

The caller keeps the ledger of acknowledgements.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter
from threading import Lock
from typing import Any, Protocol, TypeAlias
from uuid import uuid4

import httpx
import msgspec

from usage_assets.core import blueprints
from usage_assets.core.blueprints import CONNECTION, Foreign
from usage_assets.core.errors import one_line
from usage_assets.core.ticking import log_progress, threads
from usage_assets.features.port.catalog.client import MAX_BODY_BYTES, MAX_DELETES, MAX_UPSERTS, PortClient, PortError
from usage_assets.features.port.catalog.provision import provision

Value: TypeAlias = "str | int | Decimal | bool | Sequence[Value] | Mapping[str, Value] | None"
Target: TypeAlias = tuple[str, str]
"""Blueprint and identifier of an entity of the users' own."""

UNKNOWN = ""
"""The content hash of an entity whose state in Port is unknown: the next diff sends it."""
SIGNATURE = "last_push"
"""Property of a connection's entity: the mark of the last push. A database that does not know it has missed a push."""

_ENVELOPE_BYTES = len('{"entities":[]}')
_ONE_IS_TO_BLAME = frozenset({404, 409, 413, 422})
"""Refusals of a whole call that a single entity may have caused."""
_SHAPE_DIGITS = 8
"""How much of a content hash is the entity's shape."""

_log = logging.getLogger(__name__)
_encoder = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True)
class Entity:
    """One entity as it should be in Port.

    ``properties`` has every property of the blueprint, None where it has no value: what is left out stays in Port.
    """

    blueprint: str
    identifier: str
    title: str | None
    """None, only where a mapping gives none: Port keeps the one that it has."""
    properties: Mapping[str, Value]
    usage_date: date
    relations: Mapping[str, str | Sequence[str] | None] = field(default_factory=dict)
    """Relation -> identifier of its target; None where it has none: what is left out stays in Port."""
    foreign: Mapping[str, str] = field(default_factory=dict)
    """Relation -> blueprint of the users' own to which it leads. Its target need not be there (see Targets)."""
    others: Mapping[str, Value] = field(default_factory=dict)
    """What else is sent: its icon and its team."""
    resource: str | None = None
    """The resource of a mapping that it comes from. Its blueprint is the users' own then: it must be there, as it is,
    and says where relations lead."""

    def encoded(self) -> bytes:
        """The entity as Port gets it: one text for one content, every digit of a decimal, no exponents."""
        title = {} if self.title is None else {"title": self.title}
        related = {"relations": self.relations} if self.relations else {}
        content = {"identifier": self.identifier, **title, "properties": _exact(self.properties), **related}
        return _encoder.encode({**content, **self.others})

    def content_hash(self) -> str:
        """Hash of what is sent, its last digits those of ``shape``; decimals that are equal (1.0, 1.00) hash alike."""
        return hashlib.sha256(self.encoded()).hexdigest()[:-_SHAPE_DIGITS] + self.shape()

    def shape(self) -> str:
        """Hash of what the blueprint must have before Port takes the entity: names of properties and relations, and
        to which of the users' blueprints these lead.
        """
        names = [sorted(self.properties), sorted(self.relations), *([self.foreign] if self.foreign else [])]
        return hashlib.sha256(_encoder.encode(names)).hexdigest()[-_SHAPE_DIGITS:]

    def targets(self) -> Iterator[Target]:
        for relation, blueprint in self.foreign.items():
            for identifier in _listed(self.relations[relation]):
                yield blueprint, identifier

    def without(self, missing: Set[Target]) -> "Entity":
        if missing.isdisjoint(self.targets()):
            return self
        kept: dict[str, str | Sequence[str] | None] = {**self.relations}
        for relation, blueprint in self.foreign.items():
            left = [each for each in _listed(kept[relation]) if (blueprint, each) not in missing]
            kept[relation] = left if isinstance(kept[relation], (list, tuple)) else next(iter(left), None)
        return replace(self, relations=kept)


@dataclass(frozen=True)
class Acknowledged:
    """One line of the ledger: the content that Port holds of an entity, or UNKNOWN, or the mark of a push."""

    blueprint: str
    identifier: str
    usage_date: date
    content_hash: str
    resource: str | None = None
    """As of the entity."""


@dataclass(frozen=True)
class Changes:
    """What has to be sent."""

    upserts: tuple[Entity, ...] = ()
    deletes: tuple[Acknowledged, ...] = ()
    unchanged: int = 0
    known: frozenset[str] = frozenset()
    """Blueprints that are as they must be: Port has taken entities of the same shape. The others are read first."""
    state: Entity | None = None
    """The connection's entity. It is sent first, with the push's signature: the others relate to it."""

    def __bool__(self) -> bool:
        return bool(self.upserts or self.deletes or self.state)

    def signed(self, state: Entity, acknowledged: Iterable[Acknowledged]) -> "Changes":
        """Return the same changes with the connection's entity, if that or anything else has to be sent."""
        own = diff([state], acknowledged)
        if not self and not own:
            return self
        return replace(self, state=state, known=self.known | (own.known if own else {CONNECTION}))


@dataclass(frozen=True)
class Failure:
    """An entity that Port refused, with Port's reason."""

    blueprint: str
    identifier: str
    reason: str
    usage_date: date

    def __str__(self) -> str:
        return f"{self.blueprint} {self.identifier}: {one_line(self.reason)}"


@dataclass
class PushReport:
    """What a push did. Failures are for the caller to fail on: everything else stands."""

    upserted: int = 0
    """Entities of days; the connection's own is not counted."""
    deleted: int = 0
    requests: int = 0
    failures: list[Failure] = field(default_factory=list)
    """One of each entity."""
    missing: set[Target] = field(default_factory=set)
    """Of what was to be related to, what Port does not have."""

    def add(self, other: "PushReport") -> None:
        """Add what another push did. An entity that Port refused in both counts once, with the newer reason."""
        self.upserted += other.upserted
        self.deleted += other.deleted
        self.requests += other.requests
        refused = {(each.blueprint, each.identifier): each for each in (*self.failures, *other.failures)}
        self.failures = [*refused.values()]
        self.missing |= other.missing


class Targets:
    """Looks up which of the users' own entities, to which ours relate, exist in Port. Each is looked up once.

    We never create them, and Port refuses an entity that relates to one that does not exist: a person who left, a
    service that nobody has registered yet.
    """

    def __init__(self, client: PortClient) -> None:
        self.missing: set[Target] = set()
        self._client = client
        self._asked: set[Target] = set()

    def look_up(self, entities: Iterable[Entity]) -> None:
        """Ask for the targets of these entities. Raises PortError."""
        wanted = {target for entity in entities for target in entity.targets()} - self._asked
        for blueprint, of_blueprint in groupby(sorted(wanted), itemgetter(0)):
            identifiers = {identifier for _, identifier in of_blueprint}
            found = self._client.existing(blueprint, identifiers)
            self.missing |= {(blueprint, identifier) for identifier in identifiers - found}
        self._asked |= wanted


class Ledger(Protocol):
    """Where a push writes what it knows; each call is one transaction."""

    def mark(self, lines: Sequence[Acknowledged], push: str) -> None:
        """Note, before anything is sent, the push, and that nobody knows what Port holds of these until it says so."""

    def acknowledge(self, held: Sequence[Acknowledged], gone: Sequence[Acknowledged], push: str) -> None:
        """Write what Port has taken and deleted. A line that no longer bears this push's mark becomes UNKNOWN."""


def diff(desired: Iterable[Entity], acknowledged: Iterable[Acknowledged]) -> Changes:
    """Compare the entities of some days with the ledger's lines of the same days.

    Raises ValueError where two entities have one identifier: the last one would win, and flip with each push.
    """
    held = {(line.blueprint, line.identifier): line for line in acknowledged}
    shapes = {(line.blueprint, line.content_hash[-_SHAPE_DIGITS:]) for line in held.values()}
    upserts: list[Entity] = []
    seen: set[tuple[str, str]] = set()
    for entity in desired:
        key = (entity.blueprint, entity.identifier)
        if key in seen:
            raise ValueError(f"two entities of {entity.blueprint} are called {entity.identifier}")
        seen.add(key)
        if key not in held or held[key].content_hash != entity.content_hash():
            upserts.append(entity)
    deletes = tuple(line for key, line in held.items() if key not in seen)
    ours = [entity for entity in upserts if entity.resource is None]
    unknown = {entity.blueprint for entity in ours if (entity.blueprint, entity.shape()) not in shapes}
    known = frozenset(entity.blueprint for entity in ours) - unknown
    return Changes(tuple(upserts), deletes, len(seen) - len(upserts), known)


def push(client: PortClient, changes: Changes, ledger: Ledger) -> PushReport:
    """Send the changes and record what Port acknowledges, batch by batch. docs/architecture.md ("Port") says why.

    Before anything is sent, every line of the changes is marked as this push's. The connection's entity goes first and
    carries the mark to Port. Upserts go before deletes: a failure in between then leaves entities too many for a while,
    never too few, and an entity whose relation moves to another target no longer depends on the one that goes. Of what
    is deleted, entities go before those to which they relate: Port keeps one as long as others relate to it.

    Entities that Port refuses are reported; the rest goes on. Raises PortError when Port cannot be reached, refuses
    the credentials, or has a blueprint that conflicts with ours; what was answered until then is recorded.
    """
    if not changes:
        return PushReport()
    with log_progress(_log.info, "Port") as note:
        return _push(client, changes, ledger, note)


def _push(client: PortClient, changes: Changes, ledger: Ledger, note: Callable[[str], object]) -> PushReport:
    note("looking up what the entities relate to")
    before = client.requests
    state = (changes.state,) if changes.state else ()
    ours = [entity for entity in changes.upserts if entity.resource is None]
    model = _Model(client, {entity.blueprint: entity.foreign for entity in (*state, *ours)}, changes.known)
    relations = _Relations(client)
    related, targets = [*_related(relations, changes.upserts)], Targets(client)
    targets.look_up(related)
    here = {(entity.blueprint, entity.identifier) for entity in related if entity.resource is not None}
    targets.missing -= here
    mark = uuid4().hex
    signed = [_Sending(_signed(entity, mark).encoded(), _line(entity)) for entity in state]
    waves = [
        ([_Sending(entity.without(targets.missing).encoded(), _line(changes.upserts[n])) for n, entity in wave], whole)
        for wave, whole in _waves(related, here)
    ]
    upserts = [sending for wave, is_whole in waves if is_whole for sending in wave]
    ledger.mark([sending.line for sending in signed + upserts] + [*changes.deletes], mark)

    def deliver(sendings: Sequence[_Sending], *, is_whole: bool = True) -> list[Failure]:
        return _deliver(
            partial(_upsert, client, model),
            _batches(sendings, MAX_UPSERTS),
            client.concurrency,
            lambda lines: ledger.acknowledge(lines, [], mark) if is_whole else None,
            lambda taken: note(f"{taken:,} of {len(upserts):,} entities are sent") if is_whole else None,
        )

    said, report = deliver(signed), PushReport(missing=targets.missing)
    for sendings, is_whole in waves:
        refused = deliver(sendings, is_whole=is_whole)
        if is_whole:  # others are sent again
            report.upserted += len(sendings) - len(refused)
            report.failures += refused
    for untied, lines in _last_first(relations, changes.deletes):
        deliver(untied, is_whole=False)
        refused = _deliver(
            partial(_delete, client),
            _batches([_Sending(_encoder.encode(line.identifier), line) for line in lines], MAX_DELETES),
            client.concurrency,
            lambda lines: ledger.acknowledge([], lines, mark),
            lambda taken: note(f"{report.deleted + taken:,} of {len(changes.deletes):,} entities are deleted"),
        )
        report.deleted += len(lines) - len(refused)
        report.failures += refused
    report.failures += said
    report.requests = client.requests - before
    return report


_Declared: TypeAlias = Mapping[str, Mapping[str, Any]]
"""The relations of a blueprint in Port, by name."""


class _Relations(dict[str, _Declared]):
    """Those of each blueprint, read once when they are asked for. Raises PortError."""

    def __init__(self, client: PortClient) -> None:
        self._client = client

    def __missing__(self, blueprint: str) -> _Declared:
        self[blueprint] = (self._client.get_blueprint(blueprint) or {}).get("relations") or {}
        return self[blueprint]

    def of(self, lines: Sequence[Acknowledged]) -> Mapping[str, _Declared]:
        """Return those of the lines' blueprints. Ours lead where they are declared to: Port is not asked."""
        asked = {line.blueprint for line in lines if line.resource or not blueprints.is_released(line.blueprint)}
        ours = {line.blueprint for line in lines} - asked
        return {name: self[name] for name in asked} | {name: blueprints.blueprint(name)["relations"] for name in ours}


def _related(relations: _Relations, entities: Iterable[Entity]) -> Iterator[Entity]:
    """Yield the entities, those of mappings with the blueprints to which their relations lead. Raises PortError."""
    for entity in entities:
        if entity.resource is None or not entity.relations:
            yield entity
            continue
        found = relations[entity.blueprint]
        yield replace(entity, foreign={name: found[name]["target"] for name in entity.relations if name in found})


def _waves(entities: Sequence[Entity], here: Set[Target]) -> Iterator[tuple[list[tuple[int, Entity]], bool]]:
    """Yield the entities with their positions in the order in which they can be sent, and whether they are whole.

    Port takes one only when those to which it relates are there. Where all that are left wait for others, those that
    lead in a circle come next, together, first without that.
    """
    waiting, left = {*here}, [*enumerate(entities)]
    while left:
        wave = [each for each in left if waiting.isdisjoint(each[1].targets())]
        if not wave:
            wave = _circles(left)
            yield [(n, entity.without(waiting)) for n, entity in wave], False
        yield wave, True
        taken = {n for n, _ in wave}
        waiting -= {(entity.blueprint, entity.identifier) for _, entity in wave}
        left = [each for each in left if each[0] not in taken]


def _circles(entities: list[tuple[int, Entity]]) -> list[tuple[int, Entity]]:
    """Leave out those to which none of the others relates, again and again."""
    while True:
        wanted = {target for _, entity in entities for target in entity.targets()}
        found = [each for each in entities if (each[1].blueprint, each[1].identifier) in wanted]
        if len(found) == len(entities):
            return found
        entities = found


def _last_first(
    relations: _Relations, lines: Sequence[Acknowledged]
) -> Iterator[tuple[list["_Sending"], list[Acknowledged]]]:
    """Yield what is deleted in the order in which it can be, by blueprint, each after what has to lose its relations.

    Those are entities of blueprints that lead in a circle, or to themselves. Raises PortError.
    """
    left: dict[str, list[Acknowledged]] = defaultdict(list)
    for line in lines:
        left[line.blueprint].append(line)
    declared = relations.of(lines)
    while left:
        led = [(name, key, each) for name in left for key, each in declared[name].items() if each["target"] in left]
        others = {each["target"] for name, _, each in led if each["target"] != name}
        required = {each["target"] for _, _, each in led if each.get("required")}
        wave = left.keys() - others or left.keys() - required or {*left}
        empty: dict[str, dict[str, list[str] | None]] = defaultdict(dict)
        for name, key, each in led:
            if each["target"] in wave and not each.get("required"):
                empty[name][key] = [] if each.get("many") else None
        untied = [
            _Sending(_encoder.encode({"identifier": line.identifier, "relations": empty[name]}), line)
            for name in empty
            for line in left[name]
        ]
        yield untied, [line for name in sorted(wave) for line in left.pop(name)]


class _Model:
    """The blueprints of one push. Each is read at most once."""

    def __init__(self, client: PortClient, wanted: Foreign, known: Set[str]) -> None:
        self._client = client
        self._foreign = wanted
        self._unread = set(known)
        self._mended: set[str] = set()
        self._lock = Lock()
        if unknown := sorted(wanted.keys() - known):
            provision(client, unknown, wanted)

    def is_mended(self, blueprint: str) -> bool:
        """Whether something was missing of a known blueprint. It has been added then."""
        with self._lock:
            if blueprint in self._unread:
                self._unread.remove(blueprint)
                if provision(self._client, [blueprint], self._foreign):
                    self._mended.add(blueprint)
            return blueprint in self._mended


@dataclass(frozen=True)
class _Sending:
    """An entity on its way: what goes into the body, and its line in the ledger once Port has taken it."""

    encoded: bytes
    line: Acknowledged


_Verdict: TypeAlias = tuple[Acknowledged, str | None]
"""What became of an entity: None when Port took it, otherwise Port's reason."""


def _signed(entity: Entity, mark: str) -> Entity:
    return replace(entity, properties={**entity.properties, SIGNATURE: mark})


def _line(entity: Entity) -> Acknowledged:
    day, content_hash = entity.usage_date, entity.content_hash()
    return Acknowledged(entity.blueprint, entity.identifier, day, content_hash, entity.resource)


def _batches(sendings: Iterable[_Sending], most: int) -> Iterator[list[_Sending]]:
    """The fewest calls that Port's limits allow: one blueprint, so many entities, 1 MiB (bytes of the body)."""
    blueprint = attrgetter("line.blueprint")
    for _, of_blueprint in groupby(sorted(sendings, key=blueprint), blueprint):
        batch: list[_Sending] = []
        size = _ENVELOPE_BYTES
        for sending in of_blueprint:
            length = len(sending.encoded) + len(",")
            if batch and (len(batch) == most or size + length > MAX_BODY_BYTES):
                yield batch
                batch, size = [], _ENVELOPE_BYTES
            batch.append(sending)
            size += length
        yield batch


def _deliver(
    send: Callable[[list[_Sending]], list[_Verdict]],
    batches: Iterable[list[_Sending]],
    concurrency: int,
    acknowledge: Callable[[list[Acknowledged]], None],
    note: Callable[[int], object],
) -> list[Failure]:
    """Send the batches, several at a time, and acknowledge in this thread whatever has been answered meanwhile.

    Return what Port refused. ``note`` is told how many it has taken.

    After the first error no further batch is sent; those under way are waited for and acknowledged.
    """
    taken, failures = 0, list[Failure]()
    errors: list[BaseException] = []

    def attempt(batch: list[_Sending]) -> list[_Verdict]:
        try:
            return [] if errors else send(batch)
        except BaseException as error:
            errors.append(error)
            raise

    with threads(concurrency) as pool:
        pending = {pool.submit(attempt, batch) for batch in batches}
        note(taken)
        while pending:
            answered, pending = wait(pending, return_when=FIRST_COMPLETED)
            verdicts = [verdict for call in answered if not call.exception() for verdict in call.result()]
            if lines := [line for line, reason in verdicts if reason is None]:
                acknowledge(lines)
            taken += len(lines)
            note(taken)
            failures += [
                Failure(line.blueprint, line.identifier, reason, line.usage_date)
                for line, reason in verdicts
                if reason is not None
            ]
    if errors:
        raise errors[0]
    return failures


def _upsert(client: PortClient, model: _Model, batch: list[_Sending]) -> list[_Verdict]:
    verdicts = _offer(client, batch)
    refused = [sending for sending, (_, reason) in zip(batch, verdicts, strict=True) if reason is not None]
    if refused and model.is_mended(batch[0].line.blueprint):
        return [verdict for verdict in verdicts if verdict[1] is None] + _offer(client, refused)
    return verdicts


def _offer(client: PortClient, batch: list[_Sending]) -> list[_Verdict]:
    try:
        refused = client.bulk_upsert(batch[0].line.blueprint, [msgspec.Raw(sending.encoded) for sending in batch])
    except PortError as error:
        if error.status == httpx.codes.NOT_FOUND:  # the blueprint: a missing entity has a verdict of its own
            blueprint, is_mapped = batch[0].line.blueprint, batch[0].line.resource is not None
            said = (
                f"Port has no blueprint {blueprint}: create it there, a mapping does not" if is_mapped else str(error)
            )
            return [(sending.line, said) for sending in batch]
        return _halved(partial(_offer, client), batch, error)
    return [(sending.line, refused.get(position)) for position, sending in enumerate(batch)]


def _delete(client: PortClient, batch: list[_Sending]) -> list[_Verdict]:
    try:
        client.bulk_delete(batch[0].line.blueprint, [sending.line.identifier for sending in batch])
    except PortError as error:
        if error.status != httpx.codes.NOT_FOUND or len(batch) > 1:
            return _halved(partial(_delete, client), batch, error)
    return [(sending.line, None) for sending in batch]


def _halved(
    send: Callable[[list[_Sending]], list[_Verdict]], batch: list[_Sending], error: PortError
) -> list[_Verdict]:
    """Send a refused batch in halves until the entity that caused it is isolated. Raises errors of another kind."""
    if error.status not in _ONE_IS_TO_BLAME:
        raise error
    if len(batch) == 1:
        return [(batch[0].line, str(error))]
    middle = len(batch) // 2
    return send(batch[:middle]) + send(batch[middle:])


def _listed(targets: str | Sequence[str] | None) -> Sequence[str]:
    """Return the targets of a relation: of one to many they are a list."""
    return [targets] if isinstance(targets, str) and targets else [*(targets or ())]


def _exact(value: Value) -> object:
    """The value with its decimals as the digits that they are. Raises TypeError for a float, ValueError for NaN."""
    match value:
        case Decimal():
            return msgspec.Raw(_digits(value).encode())
        case float():
            raise TypeError(f"{value} is a float: amounts are decimals")
        case Mapping():
            return {key: _exact(item) for key, item in value.items()}
        case list() | tuple():
            return [_exact(item) for item in value]
        case _:
            return value


def _digits(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value} is not a number that Port can hold")
    digits = f"{value:f}"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits
