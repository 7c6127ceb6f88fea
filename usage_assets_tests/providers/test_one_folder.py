"""A provider is one folder: nothing outside it names a provider, but for what is listed here with its reason."""

import re
from pathlib import Path

import usage_assets
from usage_assets.providers import LOADED, PROVIDERS

PRODUCT = Path(usage_assets.__file__).parent
ALSO_WORDS = {"focus": r"\bfocus\.[a-z_]*charges", "cursor": r"\bcursor\.(usage_events|daily_usage|members|spend)"}
"""Providers that are called as something else is, what we export or a place in a list: their tables are named only in
their folders."""
NAMES = re.compile(
    "|".join(
        (
            *(rf"{name}(?!\.com)" for name in {*LOADED.known} - ALSO_WORDS.keys()),
            *ALSO_WORDS.values(),
            "claude",
            "codex",
        )
    )
)
EXCEPT = {
    "core/installed.py": "which package has a provider that is not installed",
    "features/port/catalog/adopt.py": "the blueprints of the published mappings are called so",
    "models/sql/model_rules.sql": "how the makers of models call them, which any provider sells",
}


def test_nothing_but_its_folder_names_a_provider() -> None:
    folders = tuple(f"providers/{name}/" for name in PROVIDERS)
    files = [path for suffix in ("py", "sql") for path in PRODUCT.rglob(f"*.{suffix}")]
    named = {str(path.relative_to(PRODUCT)) for path in files if NAMES.search(path.read_text())}
    assert {name for name in named if not name.startswith(folders)} == EXCEPT.keys()


def test_every_provider_has_a_folder_of_its_own() -> None:
    folders = {path.parent.name for path in (PRODUCT / "providers").glob("*/__init__.py")}
    ours = {name for name, package in LOADED.packages.items() if package.is_core}
    assert folders == ours, "entry points in pyproject.toml"
