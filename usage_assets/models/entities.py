"""Entities: the rows of Port's blueprints, one table each. ``sql/entities/<blueprint>.sql`` computes them.

Property names, types and identifiers are Port's (blueprints/<blueprint>.json); departures from the published
mappings are listed in docs/port.md. The entities here are computed from the costs of all providers; each
provider's own entities are in its folder.
"""

import re
from collections.abc import Collection, Sequence

from usage_assets.config.settings import Connection, Settings
from usage_assets.core.blueprints import CONNECTION, Foreign, entity_rows
from usage_assets.core.features import MODELS, hooks
from usage_assets.models.costs import VIEWS, AllocatedCost, DailyCost, costs_of, used_views
from usage_assets.models.model import Model, Related
from usage_assets.providers import PROVIDERS
from usage_assets.providers.derived import Entities, ids_in

[ID_NAMES] = (view for view in VIEWS if "costs.names" in view.names)


def names_of(*kinds: str) -> tuple[str, ...]:
    """Return the tables in which costs.names finds names of these kinds of ids."""
    stated = re.findall(r"'(\w+)' as kind\b.*?\bfrom (\w+\.\w+)", ID_NAMES.sql, re.DOTALL)
    return tuple(table for kind, table in stated if kind in kinds)


OF_COSTS = (
    Entities(
        row=entity_rows(__file__, "ai_cost_record"),
        reads=(DailyCost.table,),
        columns={name: name for name in ("cost_basis", "native_unit", "currency")},
        total="concat(cost_basis, if(measure = 'amount_usd', ', in dollars', ''))",
        optional_refs=names_of("project_id", "workspace_id"),
        views=("costs.daily_costs_named",),
        about={"project": ids_in("scope_id")},
    ),
    Entities(
        row=entity_rows(__file__, "ai_user_cost"),
        reads=(DailyCost.table,),
        optional_refs=names_of("user_id"),
        views=("costs.daily_costs_named",),
        within="amounts.sql",
        about={"user": ids_in("user_email", "user_id")},
    ),
    Entities(
        row=entity_rows(__file__, "ai_team_cost"),
        reads=(DailyCost.table,),
        optional_refs=(AllocatedCost.table,),
        views=("costs.by_team",),
        within="amounts.sql",
    ),
    Entities(
        row=entity_rows(__file__, "ai_model_cost"),
        reads=(DailyCost.table,),
        views=("models.names_in_costs",),
        within="amounts.sql",
    ),
)
ENTITIES = tuple(
    Model(
        name=each.name,
        file=each.file or each.name,
        folder="entities",
        under="entities",
        group="entities",
        row=each.row,
        reads=each.reads,
        optional_refs=each.optional_refs,
        adds_up_to=None if each.within else each,
        uses=used_views(each.views),
        within=each.within,
        about=each.about,
    )
    for each in (*(each for provider in PROVIDERS.values() for each in provider.entities), *OF_COSTS)
)
"""One derived table per blueprint, whose id is the table's name; a table may have several sources."""
OF_INSIGHTS = (
    *(
        Related(
            name=name,
            relations={CONNECTION: CONNECTION},
            about={"project": ids_in("project_id"), "user": ids_in("user_id")},
        )
        for name in ("ai_budget", "ai_anomaly")
    ),
    Related(name="ai_tag_cost", relations={CONNECTION: CONNECTION}),
    Related(name="ai_cost_center", relations={CONNECTION: CONNECTION}),
)
"""Blueprints of what has no days and no table of entities. A push computes them (``features.UNDATED``)."""


def all_entities(settings: Settings) -> Sequence[Model]:
    """Return the entities of the release, and of the users' own blueprints and mappings. Raises UserError."""
    return (*ENTITIES, *(model for of_settings in hooks(MODELS) for model in of_settings(settings)))


def entities_of(
    tables: Collection[str], entities: Sequence[Model] = ENTITIES, connection: str | None = None
) -> Sequence[Model]:
    """Return the entities of a connection that are computed from these raw tables, also from costs that are."""
    known = {*tables, *((DailyCost.table, AllocatedCost.table) if costs_of(tables) else ())}
    replaced = {name for entity in entities if entity.only == connection for name in entity.replaces}
    return [
        entity
        for entity in entities
        if {*entity.reads} <= known and (entity.reads or not known.isdisjoint(entity.optional_refs))
        if entity.only in (None, connection) and entity.name not in replaced
    ]


def pushed_entities(connection: Connection, entities: Sequence[Model]) -> Sequence[Related]:
    """Return the entities that a connection's push sends, also those of endpoints that are switched off."""
    tables = [each.row.table for each in PROVIDERS[connection.provider].endpoints]
    found = entities_of(tables, entities, connection.name)
    return [*{(sent := each.pushed_as or each).name: sent for each in found}.values()]


def foreign_relations(settings: Settings) -> Foreign:
    """Return the relations whose targets need not be there, by blueprint."""
    relations = settings.port_relations()
    return {each.name: each.foreign(relations) for each in (*all_entities(settings), *OF_INSIGHTS)}
