"""A stranger's package is loaded as it is. What cannot be used is one line, and everything else is there."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from usage_assets.providers import LOADED, PROVIDERS
from usage_assets_tests.alone import needs
from usage_assets_tests.fixtures import IS_NIGHT
from usage_assets_tests.models.days import cases
from usage_assets_tests.plugins import wheels

HERE = Path(__file__).parent
SURFACE = "from usage_assets.provider import ("
DOCTOR = """
import sys
from usage_assets.cli.doctor import _providers
from usage_assets.config.settings import Settings
for finding in _providers(Settings.load()):
    print(finding.level.name, finding.subject, finding.text)
"""
LOADS = """
import json
from usage_assets.providers import LOADED
print(json.dumps([[*LOADED.providers], [each.text for each in LOADED.not_loaded]]))
"""
GRAPH = """
import json
from usage_assets.build import build_from_environment
print(json.dumps([key.to_user_string() for key in build_from_environment().resolve_all_asset_keys()]))
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel of Nimbus is installed."""
    folder = tmp_path_factory.mktemp("nimbus")
    wheels.install(wheels.wheel_of(HERE / "nimbus", folder), folder / "site")
    return folder / "site"


@pytest.fixture
def copy(site: Path, tmp_path: Path) -> Path:
    """The same, to be changed."""
    return Path(shutil.copytree(site, tmp_path / "site"))


def changed(site: Path, folder: Path, old: str, new: str, file: str = "nimbus_usage/__init__.py") -> Path:
    """A copy of the installed package below a folder, with a change."""
    copied = Path(shutil.copytree(site, Path(mkdtemp(dir=folder), "site")))
    edit(copied, old, new, file)
    return copied


def edit(site: Path, old: str, new: str, file: str = "nimbus_usage/__init__.py") -> None:
    """Change the installed package, to another length: bytecode of the same second would count as the changed one."""
    path = site / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def said_by(code: str, *sites: Path, folder: Path, **variables: str) -> Any:
    """What a process says that has these packages."""
    done = wheels.run("-c", code, folder=folder, env=wheels.environment(*sites, **variables))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_an_installed_package_is_there(site: Path, tmp_path: Path) -> None:
    keys = said_by(GRAPH, site, folder=tmp_path)
    ours = {"nimbus/renders", "nimbus/renders/daily_costs", "nimbus/entities/nimbus_engine_use", "nimbus/people"}
    assert ours | {"openai/costs"} <= {*keys}
    said = wheels.run("-c", DOCTOR, folder=tmp_path, env=wheels.environment(site)).stdout
    assert said == "OK provider nimbus loaded from the package nimbus-usage 2.1.0\n"
    entry = (
        '[[connection]]\nname = "n"\nprovider = "nimbus"\nkey = "env:K"\ntenant = "acme"\nfilters._regions = ["eu"]\n'
    )
    (tmp_path / "connections.toml").write_text(entry)
    assert "n/renders" in said_by(GRAPH, site, folder=tmp_path, USAGE_CONNECTIONS="connections.toml", K="x")


def test_the_tests_of_this_repository_use_the_providers_of_this_package(site: Path, tmp_path: Path) -> None:
    names, _ = said_by(LOADS, site, folder=tmp_path, USAGE_PLUGINS="off")
    assert of_core(names) == [*PROVIDERS]
    assert all(package.is_ours for package in LOADED.packages.values())


def of_core(names: Sequence[str]) -> Sequence[str]:
    """Those of the providers that this process has, where it has no extension of ours."""
    return [name for name in names if name not in LOADED.missing]


BROKEN = cases("""
    Window, -> Windows, -> ImportError: cannot import name 'Windows'
    surface=2 -> surface=30 -> written for version 30 of usage_assets.provider
    NIMBUS = Provider( -> NIMBUS = dict( -> is no usage_assets.provider.Provider
    name="nimbus" -> name="cumulus" -> its name is 'cumulus', and the entry point
    settling_days=5, ->  -> missing 1 required keyword-only argument
    NIMBUS_KEY -> USAGE_KEY -> the variable USAGE_KEY begins with one of
    "nimbus.sessions" -> "ledger.sessions" -> the table ledger.sessions is not in
    "native_amount": "credits", ->  -> nothing says what the costs of nimbus.renders add up to
    "native_amount": "credits", -> "native_amount": "", -> nothing says what the costs of nimbus.renders add up to
""")
"""A change of the package, and what is said of it."""


def test_a_broken_package_is_one_line_and_the_others_load(site: Path, tmp_path: Path) -> None:
    for old, new, said in BROKEN:
        names, [text] = said_by(LOADS, changed(site, tmp_path, old, new), folder=tmp_path)
        assert of_core(names) == [*PROVIDERS], said
        assert text.startswith("not loaded from the package nimbus-usage 2.1.0: ")
        assert said in text


def test_a_broken_package_is_shown_by_the_doctor_and_the_ui(copy: Path, tmp_path: Path) -> None:
    edit(copy, "surface=2", "surface=30")
    assert {"openai/costs", "not_loaded/nimbus"} <= {*said_by(GRAPH, copy, folder=tmp_path)}
    [line] = wheels.run("-c", DOCTOR, folder=tmp_path, env=wheels.environment(copy)).stdout.splitlines()
    assert line.startswith("FAIL provider nimbus not loaded from the package nimbus-usage 2.1.0: ")
    assert line.endswith("and this release has 2: upgrade usage-assets")


def test_connections_of_a_broken_package_are_left_out(copy: Path, tmp_path: Path) -> None:
    edit(copy, "surface=2", "surface=30")
    entries = (
        '[[connection]]\nname = "n"\nprovider = "nimbus"\nkey = "env:K"\ntenant = "acme"\n'
        '[[owner]]\nconnection = "n"\nproject = "p"\nteam = "t"\n'
        '[[connection]]\nname = "second"\nprovider = "openai"\nkey = "env:K"\n'
    )
    (tmp_path / "connections.toml").write_text(entries)
    variables = {"USAGE_CONNECTIONS": "connections.toml", "K": "x"}
    keys = said_by(GRAPH, copy, folder=tmp_path, **variables)
    assert "second/costs" in keys
    assert not [key for key in keys if key.startswith("n/")]
    lines = wheels.run("-c", DOCTOR, folder=tmp_path, env=wheels.environment(copy, **variables)).stdout.splitlines()
    assert lines[1].startswith("WARN connections n cannot be fetched: their provider is not loaded")
    (tmp_path / "connections.toml").write_text(entries + 'filters = { batch = "x" }\n')
    done = wheels.run("-c", GRAPH, folder=tmp_path, env=wheels.environment(copy, **variables))
    assert "line 14: connection.2.filters.batch" in done.stderr, "positions are those of the file"


@pytest.mark.parametrize(
    ("old", "new", "claim"),
    [
        ("nothing", "nothing", "the provider nimbus"),
        ("NIMBUS_KEY", "OPENAI_ADMIN_KEY", "the variable OPENAI_ADMIN_KEY"),
        ("nimbus_engine_use", "openai_daily_usage", "the table port_entities.openai_daily_usage"),
    ],
)
def test_two_packages_with_one_name_are_refused(copy: Path, tmp_path: Path, old: str, new: str, claim: str) -> None:
    """Neither gets the other's key. Those of this package stay."""
    other = Path(shutil.copytree(copy, tmp_path / "other"))
    if old == "nothing":
        (other / "nimbus_usage-2.1.0.dist-info").rename(other / "cumulus-1.0.dist-info")
        metadata = other / "cumulus-1.0.dist-info" / "METADATA"
        metadata.write_text("Metadata-Version: 2.1\nName: cumulus\nVersion: 1.0\n")
        sites, packages = [copy, other], {"cumulus", "nimbus-usage"}
    else:
        for file in (other / "nimbus_usage").rglob("*"):
            if file.suffix in (".py", ".sql", ".json"):
                file.write_text(file.read_text().replace(old, new))
            if old in file.name:
                file.rename(file.with_name(file.name.replace(old, new)))
        sites, packages = [other], {"usage-assets", "nimbus-usage"}
    names, texts = said_by(LOADS, *sites, folder=tmp_path)
    assert of_core(names) == [*PROVIDERS]
    assert len(texts) == len(sites)
    for text in texts:
        assert claim in text
        assert all(package in text for package in packages)


def test_a_file_of_the_core_cannot_be_replaced(copy: Path, tmp_path: Path) -> None:
    views = copy / "nimbus_usage" / "sql" / "views"
    views.mkdir()
    (views / "costs.people.sql").write_text("create or replace view costs.people as select 1")
    _, [text] = said_by(LOADS, copy, folder=tmp_path)
    assert "the file sql/views/costs.people.sql is also of usage-assets" in text


IGNORED: Mapping[str, tuple[str, str]] = {
    "checks/nimbus_engine_use": ("says: one; do: wait", ""),
    "checks/nimbus_engine_use.frames": ("says: one; sums: frames", "nothing reads '-- sums: frames'. Misspelled?"),
    "checks/nimbus_render.free": (
        "says: one",
        "checks nothing: its name must begin with that of a query (nimbus_engine",
    ),
    "checks/nimbus_renders": (
        "sums: frames",
        "has no line '-- says: ...'; sums are declared in CostSource and Entities",
    ),
    "checks/nimbus_renders.late": ("says: one; severity: error", "nothing reads '-- severity: error'. Misspelled?"),
    "warnings/daily_costs/nimbus_renders.one": ("says: one; severity: eror", "nothing reads '-- severity: eror'."),
    "warnings/nimbus_renders.all": (
        "says_one: one; do_one: wait; severity: error; settled: sources; reads: nimbus.people; shown: only",
        "",
    ),
    "warnings/nimbus_renders.late": ("says: one; sevrity: error", "nothing reads '-- sevrity: error'. Misspelled?"),
}
"""A file of a check or warning -> its comments, and what is said of what would be ignored."""
FAULTS = """
import json
from nimbus_usage import NIMBUS
from usage_assets.providers.registry import faults_of
print(json.dumps([*faults_of(NIMBUS, "nimbus")]))
"""


def test_what_would_be_ignored_of_a_check_is_refused(copy: Path, tmp_path: Path) -> None:
    """Sums of an earlier version, a misspelled word, and the name of no query."""
    for name, (comments, _) in IGNORED.items():
        file = copy / "nimbus_usage" / "sql" / f"{name}.sql"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"-- {each}\n" for each in comments.split("; ")) + "from nimbus.renders\n")
    faults = said_by(FAULTS, copy, folder=tmp_path)
    for name, (_, said) in IGNORED.items():
        found = [fault for fault in faults if fault.startswith((f"sql/{name}.sql ", f"sql/{name}.sql:"))]
        assert len(found) == (1 if name != "checks/nimbus_renders" else 2) * bool(said), (name, found)
        assert said in "".join(found)
    _, [text] = said_by(LOADS, copy, folder=tmp_path)
    assert text.endswith(faults[0])


STORES = """
from pathlib import Path
from nimbus_usage import NIMBUS
from test_nimbus import Nimbus
from usage_assets.testing.product import Product
with Nimbus().serving() as account, Product.opened(NIMBUS, account, Path.cwd()) as product:
    product.fetch(account.days)
"""


@needs("assistant", "report")
def test_rows_of_an_uninstalled_package_stay_readable(site: Path, tmp_path: Path) -> None:
    env = wheels.environment(site, HERE / "nimbus" / "tests")
    stored = wheels.run("-c", STORES, folder=tmp_path, env=env)
    assert stored.returncode == 0, stored.stderr
    file = tmp_path / "connections.toml"
    file.write_text("".join(file.read_text().partition("[[credit_rate]]")[1:]))  # the connection goes with the package
    env = wheels.environment(USAGE_WAREHOUSE=str(tmp_path / "usage.duckdb"), USAGE_CONNECTIONS=str(file))

    def said(*words: str) -> str:
        code = f"from usage_assets.cli.main import main; main({list(words)!r})"
        done = wheels.run("-c", code, folder=tmp_path, env=env)
        assert done.returncode == 0 or words == ("doctor",), done.stderr
        return done.stdout

    assert said("query", "select count(*) as rows from nimbus.renders", "--csv").split() == ["rows", "16"]
    of_costs = "select sum(native_amount) > 0 as billed from costs.daily_costs where provider = 'nimbus'"
    assert said("query", of_costs, "--csv").split() == ["billed", "true"]
    assert "nimbus" in said("report", "--text", "--refresh")
    warned = [line for line in said("doctor").splitlines() if "no installed package has the provider nimbus" in line]
    tables = {line.split(":")[0] for line in warned}
    assert {"WARN  table nimbus.renders", "WARN  table nimbus.sessions", "WARN  table costs.daily_costs"} <= tables


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `usage-assets new-provider` writes, with its wheel installed in the folder ``site``."""
    folder = tmp_path_factory.mktemp("template")
    arguments = ["new-provider", "nova_ai", "--out", str(folder / "project")]
    code = f"from usage_assets.cli.main import main; main({arguments!r})"
    assert wheels.run("-c", code, folder=folder, env=wheels.environment()).returncode == 0
    wheels.install(wheels.wheel_of(folder / "project", folder), folder / "site")
    return folder


@pytest.mark.parametrize("package", ["nimbus", "template"])
def test_a_package_passes_the_rules_on_its_wheel(package: str, site: Path, template: Path, tmp_path: Path) -> None:
    """The template's, and one of an API that nobody here has seen, in a folder of its own and without a change here."""
    project = HERE / "nimbus"
    if package == "template":
        project, site = template / "project", template / "site"
    tests = wheels.tests_of(project, tmp_path)
    slow = () if IS_NIGHT or package == "nimbus" else ("-k", "not restated and not single_days and not nowhere")
    done = wheels.run(*wheels.RULES, *slow, ".", folder=tests, env=wheels.environment(site))
    assert done.returncode == 0, done.stdout


BREAKING: Mapping[tuple[str, str], str] = {
    (', unit="frames")]\n    credits', ")]\n    credits"): "test_money_and_counts_have_units_and_nothing_else_has",
    (', address="sent_unasked")', ")"): "test_addresses_are_kept_as_the_policy_says",
    ('401: "Check NIMBUS_KEY", ', ""): "test_a_refused_key",
    (SURFACE, f"from usage_assets.core import money\n{SURFACE}"): "test_the_package_imports_nothing",
    ("One row per connection, day, engine", "One row per engine"): "test_the_grain_is_said_first",
    ('parameter="after"', 'parameter="later"'): "test_small_pages_lose_and_double_nothing",
}
"""Changes of the package, and the tests that fail."""


def test_a_package_that_breaks_a_rule_fails_its_test(copy: Path, tmp_path: Path) -> None:
    tests = wheels.tests_of(HERE / "nimbus", tmp_path)
    for old, new in BREAKING:
        edit(copy, old, new)
    command = (*wheels.RULES, "-k", " or ".join(BREAKING.values()), ".")
    done = wheels.run(*command, folder=tests, env=wheels.environment(copy))
    assert done.returncode == 1, done.stdout
    assert [rule for rule in BREAKING.values() if f"::{rule}" not in done.stdout] == [], done.stdout
    assert "person_email: holds an email address" in done.stdout
