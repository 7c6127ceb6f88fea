"""How budgets, anomalies, tags and cost centers are called in Port."""

from usage_assets.models.model import macros

NAMES_OF_INSIGHTS = (*macros("macros/port_entity.sql"), *macros("insights/identifiers.sql"))
"""Macros that name them: ``<blueprint>_identifier``, of the columns that identify a row."""
