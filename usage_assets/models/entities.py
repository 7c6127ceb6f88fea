"""Entities: the rows of Port's blueprints, one table each. ``sql/entities/<blueprint>.sql`` computes them.

Property names, types and identifiers are Port's (blueprints/<blueprint>.json); departures from the published
mappings are listed in docs/port.md. The entities here are computed from the costs of all providers; each
provider's own entities are in its folder.
"""

import re
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Annotated

from usage_assets.config.settings import Connection, Settings
from usage_assets.core.blueprints import CONNECTION, Foreign
from usage_assets.core.features import MODELS, hooks
from usage_assets.core.schema import Row, Total, column
from usage_assets.models.costs import VIEWS, AllocatedCost, DailyCost, NativeAmount, costs_of, used_views
from usage_assets.models.model import Model, Related
from usage_assets.providers import PROVIDERS
from usage_assets.providers.derived import Entities, Midnight, Title, ids_in


class AiCostRecord(Row):
    """One entity per connection, day, cost basis, unit, currency, project or workspace, and model.

    Sum amount_usd only within one cost_basis, as in costs.daily_costs, which has the same rows in finer detail.
    """

    table = "port_entities.ai_cost_record"
    grain = ("identifier",)
    totals = {"billed_usd": Total("sum(amount_usd) filter (where cost_basis = 'billed')", "USD")}

    identifier: Annotated[
        str, column("Identifier in Port: <connection>/<cost basis and unit>/<project or workspace>/<model>/<day>")
    ]
    title: Title
    record_date: Midnight
    provider: Annotated[str, column("Provider")]
    cost_basis: Annotated[str, column("billed, estimated, notional or credits; never add one to another")]
    scope_id: Annotated[str | None, column("OpenAI project, Anthropic or ChatGPT workspace; null: none is stated")]
    scope_name: Annotated[str | None, column("Name of the project or workspace as last listed, or its id; never null")]
    model: Annotated[str, column("Model, or what the line item names first where no model is stated; else no model")]
    native_amount: NativeAmount
    native_unit: Annotated[str, column("dollars, cents, credits; major or minor units of other currencies")]
    currency: Annotated[str | None, column("Currency, ISO 4217; null for credits")]
    amount_usd: Annotated[
        Decimal | None, column("The same amount; null where unknown", unit="USD", kind="cost_basis", additive=False)
    ]


Billed = Annotated[Decimal | None, column("What is billed", unit="USD", kind="billed")]
Estimated = Annotated[
    Decimal | None, column("Estimates, which are inside what is billed", unit="USD", kind="estimated")
]
Notional = Annotated[Decimal | None, column("List prices of what a seat covers", unit="USD", kind="notional")]
Credits = Annotated[Decimal, column("Credits; no currency", unit="credits", kind="credits")]


class AiUserCost(Row):
    """One entity per connection, day and user; one without a user for what no user is known of, so that all add up.

    Never add the four amounts to each other. A null is unknown, not zero: an amount in a currency without a rate, or no
    bill, because the connection is a gateway or its bill is switched off.
    """

    table = "port_entities.ai_user_cost"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <connection>/<user, or unassigned>/<day>", personal=True)]
    title: Annotated[str, column("Title in Port", personal=True)]
    record_date: Midnight
    provider: Annotated[str, column("Provider")]
    user_id: Annotated[str | None, column("User, as the provider knows them; null: none is stated", personal=True)]
    user_email: Annotated[str | None, column("E-mail address, where the policy for people keeps it", personal=True)]
    billed_usd: Billed
    estimated_usd: Estimated
    notional_usd: Notional
    credits: Credits


class AiTeamCost(Row):
    """One entity per connection, day and team that owns what the costs are for; one for what nobody owns.

    Never add the four amounts to each other. A null is unknown, not zero.
    """

    table = "port_entities.ai_team_cost"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <connection>/<team>/<day>")]
    title: Title
    record_date: Midnight
    provider: Annotated[str, column("Provider")]
    team: Annotated[str, column("Team of [[owner]] in the connections file, or unowned")]
    cost_center: Annotated[str | None, column("Cost centers of what it owns, comma-separated; null: none")]
    billed_usd: Billed
    estimated_usd: Estimated
    notional_usd: Notional
    credits: Credits


class AiModelCost(Row):
    """One entity per connection, day, model, variant and usage type, whatever the provider's spellings of the model.

    Never add the four amounts to each other. A null is unknown, not zero.
    """

    table = "port_entities.ai_model_cost"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <connection>/<model>[+<variant>]/<usage type>/<day>")]
    title: Title
    record_date: Midnight
    provider: Annotated[str, column("Provider")]
    model: Annotated[str, column("Family of the model (models.names), or no model")]
    usage_type: Annotated[
        str, column("Token class, cost type or part of a line item; not itemized where none is stated")
    ]
    billed_usd: Billed
    estimated_usd: Estimated
    notional_usd: Notional
    credits: Credits
    variant: Annotated[str | None, column("Variant, such as fast or fine-tuned; null: none", is_added=True)]


[ID_NAMES] = (view for view in VIEWS if "costs.names" in view.names)


def names_of(*kinds: str) -> tuple[str, ...]:
    """Return the tables in which costs.names finds names of these kinds of ids."""
    stated = re.findall(r"'(\w+)' as kind\b.*?\bfrom (\w+\.\w+)", ID_NAMES.sql, re.DOTALL)
    return tuple(table for kind, table in stated if kind in kinds)


OF_COSTS = (
    Entities(
        row=AiCostRecord,
        reads=(DailyCost.table,),
        optional_refs=names_of("project_id", "workspace_id"),
        views=("costs.daily_costs_named",),
        about={"project": ids_in("scope_id")},
    ),
    Entities(
        row=AiUserCost,
        reads=(DailyCost.table,),
        optional_refs=names_of("user_id"),
        views=("costs.daily_costs_named",),
        within="amounts.sql",
        about={"user": ids_in("user_email", "user_id")},
    ),
    Entities(
        row=AiTeamCost,
        reads=(DailyCost.table,),
        optional_refs=(AllocatedCost.table,),
        views=("costs.by_team",),
        within="amounts.sql",
    ),
    Entities(row=AiModelCost, reads=(DailyCost.table,), views=("models.names_in_costs",), within="amounts.sql"),
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
