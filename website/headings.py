"""Headings of tables and commands, to which their names lead (labels.py)."""

PREFIX = "named "


def labelled(name: str, level: str) -> str:
    """Return the heading of a table or command, with a label that Sphinx knows."""
    return f"({PREFIX}{name})=\n{level} {name}\n"
