"""The resources of the mappings in the connections file, as models: computed of each day, stored and pushed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from usage_assets.config.settings import Connection, Settings
from usage_assets.core.blueprints import CONNECTION
from usage_assets.features.blueprints.models import of_settings as own_blueprints
from usage_assets.features.port.mapped import Mapped, MappedEntity
from usage_assets.models.entities import ENTITIES, OF_INSIGHTS, entities_of
from usage_assets.models.model import Model
from usage_assets.providers import PROVIDERS
from usage_assets_mapping.entries import MappingEntry
from usage_assets_mapping.errors import MappingError, extra_at
from usage_assets_mapping.making import Making
from usage_assets_mapping.questions import Answer, RefusedError, answer_to, question_of
from usage_assets_mapping.reading import Resource, constant, read


def stated(settings: Settings) -> Sequence[tuple[str, Path, MappingEntry]]:
    """Return the mappings of the connections file: the place of each, its file, and what is stated."""
    entries = settings.entries("mapping", MappingEntry)
    return [(place, folder / each.file.expanduser(), each) for place, folder, each in entries]


def files(settings: Settings) -> Sequence[Path]:
    """Return the files of all mappings."""
    return [file for _, file, _ in stated(settings)]


def of_settings(settings: Settings) -> Sequence[Model]:
    """Return the models of all mappings. Raises MappingError for the first mistake in one, with its place."""
    entries = stated(settings)
    if not entries:
        return ()
    extra_at("jq")
    if settings.archive_path is None:
        raise MappingError(f"{entries[0][0]}: USAGE_ARCHIVE=off: a mapping needs archived answers: remove one of them")
    connections = {each.name: each for each in settings.connections()}
    found: list[Model] = []
    for name in dict.fromkeys(entry.connection for _, _, entry in entries):
        own = [each for each in entries if each[2].connection == name]
        if name not in connections:
            known = ", ".join(connections)
            raise MappingError(f"{own[0][0]}: connection {name!r} is unknown; known: {known}")
        found += _of_connection(settings, connections[name], own)
    resources = [(each.only, each.name) for each in found if each.only]
    return [_beside(each, tuple(other for other in resources if other != (each.only, each.name))) for each in found]


def _beside(model: Model, others: tuple[tuple[str, str], ...]) -> Model:
    """Return the model, which gives no identifier that another resource gives."""
    return replace(model, compute=replace(model.compute, others=others)) if isinstance(model.compute, Making) else model


def _of_connection(
    settings: Settings, connection: Connection, entries: Sequence[tuple[str, Path, MappingEntry]]
) -> Iterator[Model]:
    """Yield the models of a connection's mappings. Raises MappingError."""
    tables = [each.row.table for each in PROVIDERS[connection.provider].endpoints]
    known = (*ENTITIES, *own_blueprints(settings))
    ours = {model.name for model in (*entities_of(tables, known), *OF_INSIGHTS)} | {CONNECTION}
    read_here: list[tuple[MappingEntry, Resource, Answer]] = []
    replaced: dict[str, list[str]] = {}
    files: dict[Path, str] = {}
    for place, file, entry in entries:
        if not file.is_file():
            raise MappingError(f"{place}.file: {file} is not there: a relative path begins at the connections file")
        if former_place := files.get(file.resolve()):
            raise MappingError(f"{place}.file: {file} is that of {former_place}, for the same connection: remove one")
        files[file.resolve()] = place
        for resource in read(file).resources:
            if former := next((each for _, each, _ in read_here if each.name == resource.name), None):
                raise MappingError(
                    f"{resource.place}: name {resource.name} is that of {former.place}: give one another name"
                )
            blueprint = constant(resource.blueprint.text)
            if blueprint in ours and not entry.replaces:
                raise MappingError(
                    f"{resource.blueprint.place}: blueprint {blueprint} is written by usage-assets itself: "
                    f"state replaces = true in [[mapping]] ({place}), or map to another blueprint"
                )
            if blueprint in ours:
                replaced.setdefault(blueprint, []).append(resource.name)
            read_here.append((entry, resource, _answer(resource, connection)))
    replaces = tuple(f"{blueprint} {name}" for blueprint, names in replaced.items() for name in names)
    blueprints = sorted({name for _, each, _ in read_here if (name := constant(each.blueprint.text))})
    sent = Mapped(resources=tuple(each.name for _, each, _ in read_here), replaces=replaces, writes=tuple(blueprints))
    for _, resource, answer in read_here:
        yield Model(
            name=resource.name,
            file="mapped",
            folder="mapping",
            under="mapped",
            group="mapped",
            row=MappedEntity,
            reads=(answer.endpoint.row.table,),
            part=resource.name,
            own_sql=resource.text,
            place=resource.place,
            compute=Making(
                settings=settings,
                connection=connection,
                resource=resource,
                answer=answer,
                ours=frozenset(ours - replaced.keys()),
            ),
            only=connection.name,
            replaces=frozenset(replaced),
            pushed_as=sent,
        )


def _answer(resource: Resource, connection: Connection) -> Answer:
    """Return how stored days answer a resource. Raises MappingError."""
    if answer := answer_to(resource, connection):
        return answer
    raise RefusedError(
        f"{resource.place}: {resource.name}: no endpoint of connection {connection.name} has the path "
        f"/{question_of(resource).path}: `usage-assets port mapping check` says which has"
    )
