"""Which pages the site has, for whom, and where they come from."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from website import commands, settings, tables

PUBLIC = (
    "usage_assets_report.statistics.series",
    "usage_assets_report.statistics.growth",
    "usage_assets_report.statistics.forecast",
    "usage_assets_report.statistics.anomalies",
    "usage_assets_report.statistics.drivers",
)
"""Modules that others may import, besides those of docs/provider-reference.md."""


class Section(NamedTuple):
    """Pages for one reader, in the order in which they are read."""

    title: str
    about: str
    pages: Sequence[str]


SECTIONS = (
    Section(
        "Get started",
        "Try it, and connect your accounts.",
        ("docs/connect", "extensions/vendors/README"),
    ),
    Section(
        "Ask",
        "See what was spent, on what and by whom, and check any number.",
        (
            "extensions/report/README",
            "docs/querying",
            "extensions/assistant/README",
            "docs/money",
            "extensions/finance/README",
        ),
    ),
    Section(
        "Operate",
        "Run it for a company, fill Port, and keep it healthy.",
        (
            "docs/deploy",
            "extensions/lake/README",
            "docs/operations",
            "docs/port",
            "extensions/mapping/README",
            "CHANGELOG",
            "SECURITY",
        ),
    ),
    Section(
        "Reference",
        "Look up commands, settings, tables, checks and refusals.",
        ("docs/reference", "docs/commands", "docs/settings", "docs/tables", "docs/python"),
    ),
    Section(
        "Maintain",
        "Change the code, prove that it is right, and release it.",
        (
            "docs/architecture",
            "docs/providers",
            "docs/provider-reference",
            "CONTRIBUTING",
            "docs/testing",
            "docs/faults",
            "docs/benchmarks",
            "docs/upstream",
            "docs/releasing",
        ),
    ),
)


def _surface() -> str:
    """The page of the public modules, which Sphinx reads."""
    head = "# Python\n\nModules that you may import. They change only with a new version, and the changelog says so.\n"
    return head + "".join(f"\n## {module}\n\n```{{eval-rst}}\n{_directive(module)}```\n" for module in PUBLIC)


def _directive(module: str) -> str:
    return f".. automodule:: {module}\n   :members:\n"


GENERATED: Mapping[str, Callable[[], str]] = {
    "docs/commands": commands.page,
    "docs/settings": settings.page,
    "docs/tables": tables.page,
    "docs/python": _surface,
}
"""Pages that are not kept: name -> what writes it."""
