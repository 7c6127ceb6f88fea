"""What is said and done where an extension is missing or broken: one line, and Port keeps what it has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from usage_assets.core.installed import EXTENSIONS

ROOT = Path(__file__).parents[2]
assert (ROOT / "pyproject.toml").is_file()
TYPED = """
import sys
from usage_assets.cli.main import main
for words in sys.argv[1:]:
    try:
        main(words.split())
    except SystemExit as ended:
        print(ended.code)
"""
"""A process that runs commands, and prints their exit codes: that of each command would mostly import."""
MISSING = "the package usage-assets-{0} is missing: pip install usage-assets-{0}"
ASKED = """
from usage_assets.build import build_from_environment as build
from usage_assets.config.settings import Settings
settings = Settings.load()
print(*settings.unread_sections)
print(*settings.kept_connections)
print(*sorted(key.to_user_string() for key in build().resolve_all_asset_keys() if key.path[-1] == "port_sync"))
"""
ENTRY = """
[[connection]]
name = "{0}"
provider = "{1}"
key = "env:KEY_OF_{0}"
organization = "acme"
"""
SECTION = """
[[{}]]
connection = "acme"
"""
NAMED = """
[[model]]
provider = "{}"
as_sent = "a"
family = "b"
"""
"""What is stated of a provider is right, whether its package is there or not."""
PROVIDERS = {provider: name for name, each in EXTENSIONS.items() for provider in each.providers}
SECTIONS = {section: name for name, each in EXTENSIONS.items() for section in each.sections}


def run(folder: Path, *arguments: str, plugins: str = "core", path: str = "") -> subprocess.CompletedProcess[str]:
    """A fresh process in a folder, for which these packages are installed."""
    variables = {"USAGE_PLUGINS": plugins, "USAGE_WAREHOUSE": "usage.duckdb", "PYTHONPATH": f"{ROOT}{os.pathsep}{path}"}
    variables |= {f"KEY_OF_{name}": f"sk-ant-admin-{name}" for name in ("acme", "other")}
    variables |= {"PORT_CLIENT_ID": "x", "PORT_CLIENT_SECRET": "x"}
    variables |= {"USAGE_CONNECTIONS": "connections.toml"} if (folder / "connections.toml").exists() else {}
    command = (sys.executable, *arguments)
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | variables)


DOCTOR = """
from usage_assets.cli.doctor import _providers
from usage_assets.config.settings import Settings
print(*(f"{finding.level.name} {finding.text}" for finding in _providers(Settings.load())), sep="\\n")
"""


def test_what_is_of_a_missing_extension_is_a_line_and_what_it_may_change_in_port_stays(tmp_path: Path) -> None:
    """A connection of such a provider, and one that such a section sends, are not pushed. All others are there."""
    stated = [("acme", "anthropic"), ("other", "anthropic"), *((f"of_{name}", name) for name in PROVIDERS)]
    text = "".join(
        (
            *(ENTRY.format(*each) for each in stated),
            *(SECTION.format(name) for name in SECTIONS),
            *(NAMED.format(name) for name in PROVIDERS),
        )
    )
    (tmp_path / "connections.toml").write_text(text)
    numbers = {line: n for n, line in enumerate(text.splitlines(), 1)}
    lines = {
        f"connection.{n}.provider": (numbers[f'name = "{name}"'] + 1, PROVIDERS[provider])
        for n, (name, provider) in enumerate(stated, 1)
        if provider in PROVIDERS
    } | {f"{section}.1": (numbers[f"[[{section}]]"], extension) for section, extension in SECTIONS.items()}
    said = {
        place: f"connections.toml, line {line}: {place}: {MISSING.format(extension)}"
        for place, (line, extension) in lines.items()
    }
    done = run(tmp_path, "-c", DOCTOR + ASKED)
    unread, kept, pushed = done.stdout.splitlines()[-3:]
    assert sorted(unread.replace(" connections.toml", "\nconnections.toml").splitlines()) == sorted(said.values())
    assert {*kept.split()} == {"acme", *(f"of_{name}" for name in PROVIDERS)}
    assert pushed == "other/port_sync"
    assert [done.stderr.count(f"{line}\n") for line in said.values()] == [1] * len(said)
    warned = sorted(line.partition(". Until")[0] for line in done.stdout.splitlines()[: len(said)])
    assert warned == sorted(f"WARN {line}" for line in said.values())
    (tmp_path / "dagster.yaml").touch()
    done = run(tmp_path, "-c", TYPED, "people forget ann@example.com", "backfill --due --push --connection acme")
    assert done.stdout.splitlines() == ["2", "2"]
    [forgotten, *_, pushed] = done.stderr.splitlines()
    assert forgotten in {f"usage-assets: {line}; nothing was changed" for line in said.values()}
    assert pushed == f"usage-assets: {said['mapping.1']}: acme cannot be pushed"


def test_a_command_of_a_missing_extension_names_the_package(tmp_path: Path) -> None:
    package_of = {words: name for name, each in EXTENSIONS.items() for words in each.commands}
    done = run(tmp_path, "-c", TYPED, *(f"{words} check x.yml --day 2026-11-19" for words in package_of))
    assert done.stdout.splitlines() == ["2"] * len(package_of)
    assert done.stderr.splitlines() == [f"usage-assets: {MISSING.format(name)}" for name in package_of.values()]


def test_all_that_the_package_lists_can_be_had(tmp_path: Path) -> None:
    """Dagster asks a package of components for each of its names, and would load nothing where one raises."""
    listed = "import usage_assets\nprint(*(name for name in dir(usage_assets) if hasattr(usage_assets, name)))\n"
    assert "UsageAssetsComponent" in run(tmp_path, "-c", listed).stdout.split()


def test_a_preview_of_what_only_a_missing_extension_computes_names_the_package(tmp_path: Path) -> None:
    package_of = {blueprint: name for name, each in EXTENSIONS.items() for blueprint in each.blueprints}
    done = run(tmp_path, "-c", TYPED, *(f"port preview {blueprint}" for blueprint in package_of))
    assert done.stdout.splitlines() == ["2"] * len(package_of)
    said = [f"usage-assets: {blueprint}: {MISSING.format(name)}" for blueprint, name in package_of.items()]
    assert done.stderr.splitlines() == said


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("", "ModuleNotFoundError: No module named 'stranger'"),
        ("FEATURE = 1\n", "TypeError: stranger:FEATURE is no usage_assets.core.features.Feature"),
        (
            "from usage_assets.core.features import Feature\nFEATURE = Feature(needs=['nothing'])\n",
            "it needs nothing",
        ),
    ],
)
def test_a_broken_package_is_one_line_and_all_others_are_there(tmp_path: Path, module: str, reason: str) -> None:
    info = tmp_path / "site" / "stranger-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[usage_assets.features]\nodd = stranger:FEATURE\n")
    if module:
        (tmp_path / "site" / "stranger.py").write_text(module)
    code = "from usage_assets.core.features import features, not_loaded\nprint('port' in features())\n"
    code += "for each in not_loaded():\n    print(each.name, each.text)"
    done = run(tmp_path, "-c", code, plugins="stranger", path=str(tmp_path / "site"))
    assert done.stdout == f"True\nodd not loaded from the package stranger 1: {reason}\n", done.stderr
    assert run(tmp_path, "-c", code, plugins="off", path=str(tmp_path / "site")).stdout == "True\n"
