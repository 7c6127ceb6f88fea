"""The pages say what the code does: tables, variables, queries, commands, links."""

import re
import shlex
from pathlib import Path

import click
import duckdb
import pytest

from usage_assets import provider as provider_names
from usage_assets import testing
from usage_assets.cli.main import COMMANDS, cli
from usage_assets.config.settings import Settings, whole_file
from usage_assets.core.installed import EXTENSIONS
from usage_assets.models.connection_graph import seeds_of
from usage_assets.models.due import due_days
from usage_assets.providers import LOOKUPS, PROVIDERS
from usage_assets.providers.anthropic_analytics.cuts import CUT_ENDPOINTS
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.migrate import create_or_alter
from usage_assets.warehouse.tables import Table
from usage_assets_tests.alone import needs
from usage_assets_tests.models.days import Days
from usage_assets_tests.models.filled import fill
from website import commands, settings, surface, tables
from website.pages import GENERATED

ROOT = Path(__file__).parents[1]
FOR_OTHERS = (
    "architecture",
    "benchmarks",
    "faults",
    "provider-reference",
    "providers",
    "releasing",
    "testing",
    "upstream",
)
"""Pages for maintainers."""
MOST_WORDS = 13_500
MOST_WORDS_OF_A_ROOM = 300
PAGES = [
    page
    for folder in (
        "*.md",
        "docs/*.md",
        "extensions/*/README.md",
        "usage_assets/**/README.md",
        "extensions/*/*/README.md",
    )
    for page in sorted(ROOT.glob(folder))
    if "template" not in page.parts
]
EXAMPLE = re.findall(r"^(#?)([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE)
QUERIES = {
    f"{page.name} {number}": query
    for page in PAGES
    for number, query in enumerate(re.findall(r"```sql\n(.*?)```", page.read_text(), flags=re.DOTALL), start=1)
}
"""Page and place on it -> query."""
EXAMPLES_OF_VALUES = {
    "litellm_base_url",
    "usage_connections",
    "usage_blueprints",
    "usage_webhook_url",
    "usage_ui_url",
    "usage_report_url",
    "usage_archive",
    "usage_report",
}
"""Variables without a default that can be written down."""
ADDRESSES = {provider.base_url_variable.lower() for provider in PROVIDERS.values() if provider.base_url}
"""Variables that the generated page of settings lists: hardly anybody sets them."""


def test_the_page_of_tables_has_every_table_and_column_of_a_warehouse(warehouse: Warehouse) -> None:
    page = tables.page()
    stored = warehouse.read("select distinct schema_name || '.' || table_name as name from duckdb_tables()")
    names = {name for name in stored["name"].to_pylist() if not name.startswith(("main.", "staging."))}
    assert names
    assert names <= set(re.findall(r"^### (\S+)$", page, flags=re.MULTILINE))


def test_the_generated_pages_link_to_what_exists() -> None:
    links = [
        (name, *link) for name, page in GENERATED.items() for link in re.findall(r"\]\(([^)#:]+)(#[^)]*)?\)", page())
    ]
    for name, link, fragment in links:
        target = ROOT / "docs" / link
        assert target.exists(), f"{name}: {link}"
        assert not fragment or fragment in anchors(target), f"{name}: {link}{fragment}"


def test_the_pages_of_commands_and_settings_have_every_one() -> None:
    page = commands.page()
    assert all(f"\n## usage-assets {name}\n" in page for name in COMMANDS)
    assert "| `--from-archive` |" in page
    assert "\n## usage-assets people forget\n" in page
    page = settings.page()
    assert all(f"| `{name.upper()}` |" in page for name in Settings.model_fields)
    assert all(f"### `[[{name}]]`" in page for name in (field.alias for field in whole_file().model_fields.values()))
    assert "| `usd_per_credit` | number or text | required |" in page


def test_the_reference_of_providers_says_what_each_name_is() -> None:
    assert surface.PAGE.read_text() == surface.page(), "run python -m website.surface"
    listed = [name for names in surface.GROUPS.values() for name in names]
    assert sorted(listed) == sorted(provider_names.__all__)
    assert sorted(surface.TESTING) == sorted(testing.__all__)
    lines = surface.PAGE.read_text().splitlines()
    assert not [line for line in lines if line.startswith("| `") and re.search(r"\|\s*\|$|` \|$", line)]


@needs(*EXTENSIONS)
def test_the_example_environment_has_every_variable_and_no_other() -> None:
    keys_of_the_documented_connections = {
        variable.lower() for variable in re.findall(r'"env:([A-Z_]+)"', (ROOT / "docs/connect.md").read_text())
    }
    assert keys_of_the_documented_connections
    named = [name.lower() for _, name, _ in EXAMPLE]
    assert sorted(named) == sorted({*Settings.model_fields, *keys_of_the_documented_connections} - ADDRESSES)


@needs(*EXTENSIONS)
def test_the_example_environment_shows_the_defaults() -> None:
    shown = {name.lower(): value for hidden, name, value in EXAMPLE if value}
    assert not [name for hidden, name, value in EXAMPLE if value and not hidden], "what has a default is a comment"
    defaults = {
        name: str(field.default)
        for name, field in Settings.model_fields.items()
        if field.default is not None and name not in ADDRESSES
    }
    said = {name: value for name, value in shown.items() if name not in EXAMPLES_OF_VALUES}
    assert said == {name: value.lower() if value in ("True", "False") else value for name, value in defaults.items()}


@needs(*EXTENSIONS)
def test_the_reference_has_every_variable_with_its_default() -> None:
    rows = (ROOT / "docs/reference.md").read_text().partition("## Environment")[2].partition("## Commands")[0]
    stated = {
        name.lower(): default.strip("` ")
        for names, default in re.findall(r"^\| (`[A-Z_`, ]+) \| ([^|]*) \|", rows, flags=re.MULTILINE)
        for name in re.findall(r"[A-Z_]+", names)
    }
    assert stated.keys() - {"dagster_home"} == Settings.model_fields.keys() - ADDRESSES
    shown = {name.lower(): value for _, name, value in EXAMPLE if value}
    assert {name: stated[name] for name in shown.keys() - EXAMPLES_OF_VALUES} == {
        name: shown[name] for name in shown.keys() - EXAMPLES_OF_VALUES
    }


def test_every_command_that_a_page_shows_is_there() -> None:
    shown = [
        (page.name, line)
        for page in PAGES
        for block in re.findall(r"```\n(.*?)```", page.read_text(), flags=re.DOTALL)
        for line in re.findall(r"^usage-assets .*", block, flags=re.MULTILINE)
    ]
    for page, line in shown:
        words = shlex.split(re.sub(r"[][]", "", line), comments=True)[1:]
        command: click.Command = cli
        while isinstance(command, click.Group) and words and not words[0].startswith("--"):
            _, found, words = command.resolve_command(click.Context(command), words)
            assert found, f"{page}: {line}"
            command = found
        if command.hidden:  # of a missing extension
            continue
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, f"{page}: {line}"


def test_the_readme_is_an_introduction() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


def test_what_the_runbook_quotes_is_what_the_product_prints() -> None:
    runbook = (ROOT / "docs/operations.md").read_text().partition("## When something is wrong")[2].partition("\n## ")[0]
    quoted = re.findall(r"`((?:FAIL|WARN|OK)  [^`]+|<file>[^`]+)`", runbook)
    assert len(quoted) > 8
    product = "".join(
        file.read_text() for folder in ("usage_assets", "extensions") for file in sorted((ROOT / folder).rglob("*.py"))
    )
    product = re.sub(r'"\s*\n\s*f?"', "", product)  # a text in several lines
    product = re.sub(r"\{[^{}]*\}", "...", product)
    for line in quoted:
        for piece in re.split(r"\.\.\.|<\w+>", re.sub(r"^(FAIL|WARN|OK) +\w+ ?", "", line)):
            assert piece.strip(" :,()") in product, (line, piece)


def test_the_pages_for_users_can_be_read() -> None:
    """Sentences and lists, without the tables and the examples between them."""
    words = 0
    for page in PAGES:
        is_for_users = page.stem == "README" or page.parent.name == "docs"
        if is_for_users and not is_of_room(page) and page.stem not in FOR_OTHERS:
            words += words_of(page)
    assert 10_000 < words <= MOST_WORDS


def test_a_maintainer_reads_the_architecture_in_minutes() -> None:
    """What is true of one folder stands there, and is short, too."""
    assert 1_000 < len((ROOT / "docs/architecture.md").read_text().split()) <= 1_500
    of_rooms = {page: words_of(page) for page in PAGES if is_of_room(page)}
    assert len(of_rooms) > 5
    assert {str(page): words for page, words in of_rooms.items() if words > MOST_WORDS_OF_A_ROOM} == {}


def is_of_room(page: Path) -> bool:
    """Whether it is about a folder of a package."""
    return page.relative_to(ROOT).parts[-2:-1] not in ((), ("docs",)) and page.parent.parent != ROOT / "extensions"


def words_of(page: Path) -> int:
    """Those of sentences and lists, without tables and examples."""
    text = re.sub("^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return sum(len(line.split()) for line in text.splitlines() if not line.lstrip().startswith("|"))


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse with costs of three connections, and empty lookups and cuts, asked once what is due."""
    days = fill(Days(Warehouse(database=str(tmp_path_factory.mktemp("docs") / "usage.duckdb"))))
    due_days(days.warehouse, seeds_of(Settings.load()), keep=True)
    with days.warehouse.transaction() as database:
        for row in (*(lookup.row for lookup in LOOKUPS), *(cut.row for cut in CUT_ENDPOINTS)):
            create_or_alter(database, Table(row))
    return days.warehouse


@needs(*EXTENSIONS)
def test_every_query_can_be_asked(warehouse: Warehouse) -> None:
    failed = {}
    for name, query in QUERIES.items():
        try:
            assert warehouse.read(query).num_columns
        except duckdb.Error as error:
            failed[name] = str(error)
    assert failed == {}


def test_every_link_leads_somewhere() -> None:
    links = [(page, *link) for page in PAGES for link in re.findall(r"\]\(([^)#]*)(#[^)]*)?\)", page.read_text())]
    for page, link, fragment in links:
        if "://" not in link:
            target = page.parent / link if link else page
            assert target.exists(), f"{page.name}: {link}"
            assert not fragment or fragment in anchors(target), f"{page.name}: {link}{fragment}"


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
