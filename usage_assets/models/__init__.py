"""Derived tables: what is computed from raw tables, as SQL and declarations."""
