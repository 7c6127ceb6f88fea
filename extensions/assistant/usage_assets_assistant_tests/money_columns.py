"""``money.json``, which the checks of queries read, from the declarations of tables and views (`make snapshot`)."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from usage_assets.core.schema import KINDS, columns, declarations
from usage_assets.models.costs import CONTROLS, SOURCES, SUMS, AllocatedCost, DailyCost
from usage_assets.models.entities import ENTITIES
from usage_assets.providers import PROVIDERS
from usage_assets.warehouse.tables import Table, described
from usage_assets_assistant.dbt.writers import ALL_VIEWS
from usage_assets_assistant.query.money import FILE, KIND, UNIT

OF_VIEWS = {name: view for view in ALL_VIEWS for name in view.names}
PARTS = {
    **{endpoint.row.table: endpoint.part_of for provider in PROVIDERS.values() for endpoint in provider.endpoints},
    **CONTROLS,
}
"""Table -> the table that has the same amounts; empty: none."""
DERIVED = {AllocatedCost.table: {DailyCost.table}, **{sums: {table} for sums, table in SUMS.items()}}
DERIVED |= {model.row.table: {*model.reads, *model.optional_refs} for model in ENTITIES}
Declared = dict[str, dict[str, str]]


@cache
def meanings(relation: str) -> Mapping[str, str]:
    """Return what the columns of a relation mean, also of those that a view may lack."""
    if relation not in OF_VIEWS:
        row = declarations().get(relation)
        return {column.name: described(column) for column in Table(row).columns} if row else {}
    view = OF_VIEWS[relation]
    found: dict[str, str] = {}
    for each in reversed(view.alike):
        found |= meanings(each) if each != relation else {}
    own = {name: text for name, text in view.described.items() if "." not in name}
    of_it = {
        name.removeprefix(f"{relation}."): text
        for name, text in view.described.items()
        if name.startswith(f"{relation}.")
    }
    return found | own | of_it


def amounts_of(relation: str) -> Declared:
    """Return the amounts of a relation, and other numbers whose unit a column states."""
    known = {name.lower(): text for name, text in meanings(relation).items()}
    texts = {name for name, text in known.items() if not text.endswith("]") and not _is_number(relation, name)}
    found: Declared = {}
    for name, text in known.items():
        if not (bracket := re.search(r" \[([^\[\]]+)\]$", text)):
            continue
        unit, kind, within = parts_of(bracket[1])
        if unit.lower() in texts or kind:
            found[name] = {
                **({KIND: kind if kind in KINDS else f"={kind.lower()}"} if kind else {}),
                UNIT: f"={unit.lower()}" if unit.lower() in texts else unit,
                **{each.lower(): f"={each.lower()}" for each in within},
            }
    return found


def parts_of(bracket: str) -> tuple[str, str, Sequence[str]]:
    """Return unit, kind (empty: it is no money) and the columns within which an amount may be added."""
    unit, *others = bracket.split("; ")
    within = [each.removeprefix("within ").split(", ") for each in others if each.startswith("within ")]
    return unit, next((each for each in others if not each.startswith("within ")), ""), within[0] if within else []


def _is_number(relation: str, name: str) -> bool:
    row = declarations().get(relation)
    return row is not None and any(each.name == name and each.type is not str for each in columns(row))


@cache
def bases(relation: str) -> frozenset[str]:
    """Return the tables whose amounts it adds up. What costs are computed from is ``costs.daily_costs/<it>``."""
    if relation in OF_VIEWS:
        read = (bases(each) for each in OF_VIEWS[relation].reads if each != relation)
        return _highest(frozenset().union(*read))
    if relation == DailyCost.table or not any(KIND in each for each in amounts_of(relation).values()):
        return frozenset((DailyCost.table,) if relation == DailyCost.table else ())
    if all(each.get(KIND) == "price" for each in amounts_of(relation).values()):
        return frozenset()
    if sources := DERIVED.get(relation):
        return _highest(frozenset().union(*map(bases, sources))) or frozenset((relation,))
    if parent := PARTS.get(relation):
        return bases(parent)
    is_source = relation in {source.table for source in SOURCES}
    return frozenset((f"{DailyCost.table}/{relation}" if is_source else relation,))


def _highest(found: frozenset[str]) -> frozenset[str]:
    """Leave out what the costs of all sources contain, if they are among them."""
    return frozenset(each for each in found if each.partition("/")[0] not in found - {each})


def relations() -> Iterator[tuple[str, object]]:
    """Yield what ``money.json`` has."""
    for relation in sorted({*declarations(), *OF_VIEWS}):
        if found := amounts_of(relation):
            row = declarations().get(relation) if relation not in OF_VIEWS else None
            grain = [*Table(row).grain] if row else []
            yield relation, {"grain": grain, "bases": sorted(bases(relation)), "columns": found}


def money_json() -> str:
    """Return the file's text: a line for each relation."""
    lines = (f"{json.dumps(name)}: {json.dumps(declared)}" for name, declared in relations())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(money_json())
