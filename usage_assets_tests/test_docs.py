"""The pages say what the code does: tables, variables, links."""

import re
import runpy
from pathlib import Path

import pytest

from usage_assets.config.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_data_dictionary_is_what_the_declarations_say() -> None:
    assert runpy.run_path(str(ROOT / "docs/generate_tables.py"))["page"]() == (ROOT / "docs/tables.md").read_text()


def test_the_example_environment_has_every_variable_and_no_other() -> None:
    example = (ROOT / ".env.example").read_text()
    named = {variable.lower() for variable in re.findall(r"^#?([A-Z_]+)=", example, flags=re.MULTILINE)}
    internal = {"openai_base_url", "anthropic_base_url", "chatgpt_base_url"}
    keys_of_the_readmes_connections = {
        variable.lower() for variable in re.findall(r'"env:([A-Z_]+)"', (ROOT / "README.md").read_text())
    }
    assert keys_of_the_readmes_connections
    assert named | internal == set(Settings.model_fields) | keys_of_the_readmes_connections


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
