"""The data model in Port: our blueprints (blueprints/*.json) and how they get there. A user's own additions and changes
stay: what is missing is added, nothing is removed or retyped.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from usage_assets.port.client import PortClient, PortError

BLUEPRINTS = files(__package__) / "blueprints"
_CALCULATED = ("calculationProperties", "mirrorProperties", "aggregationProperties")
_REFUSED = (409, 422)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """What one blueprint needs: to be created (``body`` is the whole) or to be given more properties (a patch)."""

    blueprint: str
    creates: bool
    adds: tuple[str, ...]
    body: Mapping[str, Any]


def blueprint(identifier: str) -> dict[str, Any]:
    """One of our blueprints as it is published."""
    declared: dict[str, Any] = json.loads(BLUEPRINTS.joinpath(f"{identifier}.json").read_text(encoding="utf-8"))
    return declared


def plan(client: PortClient, identifiers: Iterable[str]) -> list[Step]:
    """The steps that these blueprints need. Reads only; raises PortError that names every conflict."""
    pairs = [(blueprint(identifier), client.get_blueprint(identifier)) for identifier in identifiers]
    conflicts = [conflict for ours, theirs in pairs if theirs for conflict in _conflicts(ours, theirs)]
    if conflicts:
        raise PortError(f"Port's data model does not fit, nothing was sent: {'; '.join(conflicts)}")
    return [step for ours, theirs in pairs if (step := _step(ours, theirs))]


def provision(client: PortClient, identifiers: Iterable[str]) -> list[Step]:
    """Make the blueprints ready for our entities and return what was done. Raises PortError before the first change
    where one of them conflicts.
    """
    steps = plan(client, identifiers)
    for step in steps:
        _take(client, step)
    return steps


def _step(ours: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> Step | None:
    identifier = ours["identifier"]
    if theirs is None:
        return Step(identifier, creates=True, adds=tuple(_declarations(ours)), body=ours)
    adds = tuple(key for key in _declarations(ours) if key not in _declarations(theirs))
    if not adds:
        return None
    body = {
        "schema": {
            **theirs["schema"],
            "properties": _with_added(theirs["schema"]["properties"], ours["schema"]["properties"], adds),
        },
        "calculationProperties": _with_added(
            theirs.get("calculationProperties") or {}, ours["calculationProperties"], adds
        ),
    }
    return Step(identifier, creates=False, adds=adds, body=body)


def _with_added(theirs: Mapping[str, Any], ours: Mapping[str, Any], adds: Iterable[str]) -> dict[str, Any]:
    return {**theirs, **{key: ours[key] for key in adds if key in ours}}


def _conflicts(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    existing = _declarations(theirs)
    for key, (section, declared) in _declarations(ours).items():
        their_section, theirs_declared = existing.get(key, (section, declared))
        wanted, found = declared["type"], theirs_declared.get("type")
        formats = {declared.get("format"), theirs_declared.get("format")} - {None}
        if (their_section, found) != (section, wanted) or len(formats) > 1:
            yield (
                f"{ours['identifier']}.{key} is {_described(their_section, theirs_declared)} there and "
                f"{_described(section, declared)} here: rename or remove it in Port"
            )


def _declarations(of: Mapping[str, Any]) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """Everything that an entity of the blueprint shows as a property: key -> section and declaration."""
    sections = {"schema": of["schema"]["properties"]} | {name: of.get(name) or {} for name in _CALCULATED}
    return {key: (section, declared) for section, held in sections.items() for key, declared in held.items()}


def _described(section: str, declared: Mapping[str, Any]) -> str:
    words = [declared.get("format"), declared.get("type"), "property" if section == "schema" else f"in {section}"]
    return " ".join(word for word in words if word)


def _take(client: PortClient, step: Step) -> None:
    try:
        _write(client, step)
    except PortError as error:
        # An attempt whose answer was lost may have worked, and then refuses to be repeated.
        if error.status not in _REFUSED or plan(client, [step.blueprint]):
            raise


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
