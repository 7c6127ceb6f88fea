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
    "usage_type": "other",
}
"""Dimensions whose ids are names -> what null is called. The columns of all others are structs of id and name."""


def id_of(dimension: str) -> str:
    """Return what holds the id."""
    return dimension if dimension in SAME_NAME else f"{dimension}.id"


def called(dimension: str) -> str:
    """Return what a value is called."""
    unnamed = SAME_NAME.get(dimension)
    return f"coalesce({dimension}, '{unnamed}')" if unnamed else f"{dimension}.name"


def of_dimension(sql: str, dimension: str) -> str:
    """Return a query of a dimension: ``{id}`` and ``{name}`` are columns of ``billed``."""
    written = {"id": id_of(dimension), "name": called(dimension), "dimension": dimension}
    for name, text in {**written, "several": DIMENSIONS[dimension]}.items():
        sql = sql.replace(f"{{{name}}}", text)
    return sql
