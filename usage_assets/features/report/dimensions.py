"""The dimensions of costs: what people call them, and the columns of ``sql/billed.sql`` that hold them."""

from collections.abc import Mapping

DIMENSIONS: Mapping[str, str] = {
    "team": "teams",
    "cost_center": "cost centers",
    "person": "people and keys",
    "project": "projects and workspaces",
    "model": "models",
    "usage_type": "usage types",
    "api_key": "API keys",
}
"""Dimensions of costs: column -> plural."""
SAME_NAME: Mapping[str, str] = {
    "team": "unowned",
    "cost_center": "no cost center",
    "model": "no model",
    "usage_type": "not itemized",
}
"""Dimensions whose ids are names -> what null is called. The columns of all others are structs of id and name."""


def id_of(dimension: str) -> str:
    """Return what holds the id."""
    return dimension if dimension in SAME_NAME else f"{dimension}.id"


def of_dimension(sql: str, dimension: str) -> str:
    """Return a query of a dimension: ``{id}`` and ``{name}`` are columns of ``billed``."""
    unnamed = SAME_NAME.get(dimension)
    name = f"coalesce({dimension}, '{unnamed}')" if unnamed else f"{dimension}.name"
    return sql.replace("{id}", id_of(dimension)).replace("{name}", name).replace("{dimension}", dimension)
