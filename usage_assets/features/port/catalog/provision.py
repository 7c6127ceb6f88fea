"""Creates our blueprints (core/blueprints.py finds them) and their scorecards (scorecards/*.json) in Port and adds
missing properties, and values that a property may have. Never removes a property or changes its type, and never
changes a scorecard, so additions and changes of users stay.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from usage_assets.core.blueprints import CONNECTION, NOTHING, Foreign, blueprint, is_released
from usage_assets.features.port.catalog.client import PortClient, PortError

SCORECARDS = files(__package__) / "scorecards"
_CALCULATED = ("calculationProperties", "mirrorProperties", "aggregationProperties")
_REFUSED = (409, 422)
_NOT_TAKEN = (403, 404, *_REFUSED)
"""How Port may refuse a scorecard: an account may not have them, or not let these credentials make one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """What one blueprint needs: to be created (``body`` is the whole) or to be given more properties (a patch)."""

    blueprint: str
    creates: bool
    adds: tuple[str, ...]
    body: Mapping[str, Any]
    """Empty: nothing is missing of the blueprint itself."""
    scorecard: Mapping[str, Any] | None = None
    """The scorecard that is missing."""


class ConflictError(PortError):
    """Port has declarations that do not fit ours; each of ``conflicts`` says which and what to do."""

    def __init__(self, conflicts: Sequence[str]) -> None:
        super().__init__(f"Port's data model does not fit, nothing was sent: {'; '.join(conflicts)}")
        self.conflicts = conflicts


def plan(client: PortClient, identifiers: Iterable[str], foreign: Foreign = NOTHING) -> list[Step]:
    """The steps that these blueprints need, in their order: what others relate to comes first.

    Reads only. Raises ConflictError with every conflict.
    """
    wanted = list(identifiers)
    steps = _steps(client, [identifier for identifier in wanted if identifier != CONNECTION], foreign)
    return [*_steps(client, [CONNECTION], foreign), *steps] if steps or CONNECTION in wanted else steps


def _steps(client: PortClient, identifiers: Iterable[str], foreign: Foreign) -> list[Step]:
    pairs = [(blueprint(identifier, foreign), client.get_blueprint(identifier)) for identifier in identifiers]
    steps = [step for ours, theirs in pairs if (step := _step(ours, theirs, _missing_scorecard(client, ours, theirs)))]
    conflicts = [conflict for ours, theirs in pairs if theirs for conflict in _conflicts(ours, theirs)]
    conflicts += _missing(client, steps, foreign)
    if conflicts:
        raise ConflictError(conflicts)
    return steps


def provision(client: PortClient, identifiers: Iterable[str], foreign: Foreign = NOTHING) -> list[Step]:
    """Make the blueprints ready for our entities and return what was done. Raises ConflictError before the first
    change.
    """
    steps = plan(client, identifiers, foreign)
    return [taken for step in steps if (taken := _take(client, step, foreign)).adds]


def _step(
    ours: Mapping[str, Any], theirs: Mapping[str, Any] | None, scorecard: Mapping[str, Any] | None
) -> Step | None:
    identifier = ours["identifier"]
    scored = (f"scorecard {scorecard['title']}",) if scorecard else ()
    if theirs is None:
        return Step(identifier, creates=True, adds=(*_declarations(ours), *scored), body=ours, scorecard=scorecard)
    adds = tuple(key for key in _declarations(ours) if key not in _declarations(theirs))
    of_us, of_them = ours["schema"]["properties"], theirs["schema"]["properties"]
    values = {key: missing for key in of_us if (missing := _missing_values(of_us[key], of_them.get(key, {})))}
    adds += tuple(f"{key}: {value}" for key, missing in values.items() for value in missing)
    if not adds:
        return Step(identifier, creates=False, adds=scored, body={}, scorecard=scorecard) if scorecard else None
    properties = _with_missing(of_them, of_us)
    for key, missing in values.items():
        colors = _with_missing(of_them[key].get("enumColors", {}), of_us[key].get("enumColors", {}))
        properties[key] = {**of_them[key], "enum": [*of_them[key]["enum"], *missing], "enumColors": colors}
    body = {"schema": {**theirs["schema"], "properties": properties}} | {
        section: _with_missing(theirs.get(section) or {}, ours[section])
        for section in ("calculationProperties", "relations")
    }
    return Step(identifier, creates=False, adds=(*adds, *scored), body=body, scorecard=scorecard)


def _missing_scorecard(
    client: PortClient, ours: Mapping[str, Any], theirs: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Return the blueprint's scorecard if Port does not have it."""
    file = SCORECARDS.joinpath(f"{ours['identifier']}.json")
    if not file.is_file():
        return None
    scorecard: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if theirs is None:
        return scorecard
    found = client.scorecards(ours["identifier"])
    return None if found is None or scorecard["identifier"] in found else scorecard


def _with_missing(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    return {**theirs, **{key: declared for key, declared in ours.items() if key not in theirs}}


def _missing_values(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Sequence[str]:
    """Return the values that a property may have here and not there; none where it may have any there."""
    return [value for value in ours.get("enum", ()) if value not in theirs.get("enum", ours.get("enum", ()))]


def _conflicts(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    existing = _declarations(theirs)
    for key, (section, declared) in _declarations(ours).items():
        their_section, theirs_declared = existing.get(key, (section, declared))
        wanted, found = _type(declared), _type(theirs_declared)
        formats = {declared.get("format"), theirs_declared.get("format")} - {None}
        if (their_section, found) != (section, wanted) or len(formats) > 1:
            yield (
                f"{ours['identifier']}.{key} is {_described(their_section, theirs_declared)} there and "
                f"{_described(section, declared)} here: rename or remove it in Port"
            )


def _missing(client: PortClient, steps: Iterable[Step], foreign: Foreign) -> Iterator[str]:
    """Users' own blueprints to which a step would lead; where a relation is there, its target is. Ours are created."""
    added = {
        relation: target
        for step in steps
        for relation, target in foreign.get(step.blueprint, {}).items()
        if _key(relation) in step.adds
    }
    for relation, target in sorted(added.items()):
        if not is_released(target) and client.get_blueprint(target) is None:
            yield (
                f"relation {relation} leads to the blueprint {target}, which is not there: create it in Port or "
                "correct the relation (in port_relation, or in your blueprint)"
            )


def _type(declared: Mapping[str, Any]) -> tuple[str | None, bool]:
    """What cannot be changed without changing what is stored: of a property its type, of a relation its target."""
    return declared.get("type") or declared.get("target"), bool(declared.get("many"))


def _declarations(of: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Everything that an entity of the blueprint shows: key -> section and declaration.

    Properties of all kinds share their keys; relations have their own.
    """
    sections = {"schema": of["schema"]["properties"]} | {name: of.get(name) or {} for name in _CALCULATED}
    properties = {key: (section, declared) for section, held in sections.items() for key, declared in held.items()}
    relations = (of.get("relations") or {}).items()
    return properties | {_key(key): ("relations", declared) for key, declared in relations}


def _key(relation: str) -> str:
    return f"relation {relation}"


def _described(section: str, declared: Mapping[str, Any]) -> str:
    words = [declared.get("format"), _type(declared)[0], "property" if section == "schema" else f"in {section}"]
    return " ".join(word for word in words if word)


def _take(client: PortClient, step: Step, foreign: Foreign) -> Step:
    """Take a step and return what was done: entities need their blueprint, and no scorecard."""
    try:
        if step.body:
            _write(client, step)
    except PortError as error:
        # An attempt whose answer was lost may have worked, and then refuses to be repeated.
        if error.status not in _REFUSED or any(missing.body for missing in plan(client, [step.blueprint], foreign)):
            raise
    if step.scorecard:
        try:
            client.create_scorecard(step.blueprint, step.scorecard)
        except PortError as error:
            if error.status not in _NOT_TAKEN:
                raise
            if step.scorecard["identifier"] not in (client.scorecards(step.blueprint) or ()):
                _log.warning("Port does not take the scorecard %s: %s", step.scorecard["title"], error)
                return replace(step, adds=step.adds[:-1])
    return step


def _write(client: PortClient, step: Step) -> None:
    """Port's list of formats has no ``date``, its own published blueprints do: try, and fall back to plain text."""
    plain = _without_date_format(step.body)
    try:
        _send(client, step, step.body)
    except PortError as error:
        if error.status not in _REFUSED or plain == step.body:
            raise
        _send(client, step, plain)
        _log.warning("Port refuses format: date in %s; the property is plain text there", step.blueprint)


def _send(client: PortClient, step: Step, body: Mapping[str, Any]) -> None:
    if step.creates:
        client.create_blueprint(body)
    else:
        client.update_blueprint(step.blueprint, body)


def _without_date_format(body: Mapping[str, Any]) -> dict[str, Any]:
    properties = {
        key: {name: value for name, value in declared.items() if (name, value) != ("format", "date")}
        for key, declared in body["schema"]["properties"].items()
    }
    return {**body, "schema": {**body["schema"], "properties": properties}}
