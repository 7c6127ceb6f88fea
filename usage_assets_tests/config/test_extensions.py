"""What is said and done where an extension is missing or broken: one line, and Port keeps what it has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from usage_assets.core.installed import EXTENSIONS

ROOT = Path(__file__).parents[2]
assert (ROOT / "pyproject.toml").is_file()
COMMANDS = [command for extension in EXTENSIONS.values() for command in extension.commands]
MAIN = "from usage_assets.cli.main import main; main()"
ASKED = """
from usage_assets.build import build_from_environment as build
from usage_assets.config.settings import Settings
settings = Settings.load()
print(*settings.unread_sections)
print(*settings.kept_connections)
print(*sorted(key.to_user_string() for key in build().resolve_all_asset_keys() if key.path[-1] == "port_sync"))
"""
STATED = """
[[connection]]
name = "acme"
provider = "anthropic"
key = "env:ACME"

[[connection]]
name = "other"
provider = "anthropic"
key = "env:OTHER"

[[{section}]]
connection = "acme"
"""


def run(folder: Path, *arguments: str, plugins: str = "core", path: str = "") -> subprocess.CompletedProcess[str]:
    """A fresh process in a folder, for which these packages are installed."""
    variables = {"USAGE_PLUGINS": plugins, "USAGE_WAREHOUSE": "usage.duckdb", "PYTHONPATH": f"{ROOT}{os.pathsep}{path}"}
    variables |= {"ACME": "sk-ant-admin-x", "OTHER": "sk-ant-admin-y", "PORT_CLIENT_ID": "x", "PORT_CLIENT_SECRET": "x"}
    variables |= {"USAGE_CONNECTIONS": "connections.toml"} if (folder / "connections.toml").exists() else {}
    command = (sys.executable, *arguments)
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | variables)


@pytest.mark.parametrize(
    ("extension", "section"), [(name, each) for name, extension in EXTENSIONS.items() for each in extension.sections]
)
def test_a_section_of_a_missing_extension_is_one_line_and_a_connection_that_it_sends_is_not_pushed(
    tmp_path: Path, extension: str, section: str
) -> None:
    (tmp_path / "connections.toml").write_text(STATED.format(section=section))
    done = run(tmp_path, "-c", ASKED)
    package = f"usage-assets-{extension}"
    line = f"connections.toml, line 12: {section}.1: the package {package} is missing: pip install {package}"
    is_sending = section in EXTENSIONS[extension].sending
    assert done.stdout.splitlines()[-3:] == (
        [line, "acme", "other/port_sync"] if is_sending else [line, "", "acme/port_sync other/port_sync"]
    )
    assert done.stderr.count(line) == 1
    (tmp_path / "dagster.yaml").touch()
    forgotten = run(tmp_path, "-c", MAIN, "people", "forget", "ann@example.com")
    assert (forgotten.returncode, forgotten.stderr) == (2, f"usage-assets: {line}; nothing was changed\n")
    if not is_sending:
        return
    pushed = run(tmp_path, "-c", MAIN, "backfill", "--due", "--push", "--connection", "acme")
    assert (pushed.returncode, pushed.stderr.splitlines()[-1]) == (2, f"usage-assets: {line}: acme cannot be pushed")


DOCTOR = """
from usage_assets.cli.doctor import _providers
from usage_assets.config.settings import Settings
print(*(f"{finding.level.name} {finding.text}" for finding in _providers(Settings.load())), sep="\\n")
"""


@pytest.mark.parametrize("extension", [name for name, each in EXTENSIONS.items() if each.providers])
def test_a_connection_whose_provider_is_in_a_missing_extension_is_one_line_and_all_others_are_there(
    tmp_path: Path, extension: str
) -> None:
    providers = EXTENSIONS[extension].providers
    entry = '[[connection]]\nname = "{}"\nprovider = "{}"\nkey = "env:ACME"\norganization = "acme"\n'
    stated = [("other", "anthropic"), *((f"of_{name}", name) for name in providers)]
    file = tmp_path / "connections.toml"
    file.write_text("".join(entry.format(*each) for each in stated))
    package = f"usage-assets-{extension}"
    lines = [
        f"connections.toml, line {5 * n + 3}: connection.{n + 1}.provider: "
        f"the package {package} is missing: pip install {package}"
        for n in range(1, len(stated))
    ]
    done = run(tmp_path, "-c", ASKED)
    said, kept, pushed = done.stdout.splitlines()[-3:]
    assert (said, pushed) == (" ".join(lines), "other/port_sync")
    assert {*kept.split()} == {f"of_{name}" for name in providers}
    assert [done.stderr.count(line) for line in lines] == [1] * len(lines)
    found = run(tmp_path, "-c", DOCTOR).stdout.splitlines()
    assert [line.partition(". Until")[0] for line in found[: len(lines)]] == [f"WARN {line}" for line in lines]
    (tmp_path / "dagster.yaml").touch()
    forgotten = run(tmp_path, "-c", MAIN, "people", "forget", "ann@example.com")
    assert (forgotten.returncode, forgotten.stderr) == (2, f"usage-assets: {lines[0]}; nothing was changed\n")
    file.write_text(
        file.read_text()
        + "".join(f'[[model]]\nprovider = "{name}"\nas_sent = "a"\nfamily = "b"\n' for name in providers)
    )
    assert run(tmp_path, "-c", ASKED).returncode == 0, "what is stated of them is still right"


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_of_a_missing_extension_names_the_package(tmp_path: Path, words: str) -> None:
    done = run(tmp_path, "-c", MAIN, *words.split(), "check", "x.yml", "--day", "2026-11-19")
    assert done.returncode == 2
    [package] = {f"usage-assets-{name}" for name, each in EXTENSIONS.items() if words in each.commands}
    assert done.stderr == f"usage-assets: the package {package} is missing: pip install {package}\n"


def test_all_that_the_package_lists_can_be_had_and_what_an_extension_adds_names_it(tmp_path: Path) -> None:
    """Dagster asks a package of components for each of its names, and would load nothing where one raises."""
    listed = "import usage_assets\nprint(*(name for name in dir(usage_assets) if hasattr(usage_assets, name)))\n"
    assert "UsageAssetsComponent" in run(tmp_path, "-c", listed).stdout.split()
    done = run(tmp_path, "-c", "from usage_assets import open")
    assert done.stderr.splitlines()[-1].endswith("pip install usage-assets-assistant")


def test_a_preview_of_what_only_a_missing_extension_computes_names_the_package(tmp_path: Path) -> None:
    for name, each in EXTENSIONS.items():
        for blueprint in each.blueprints:
            done = run(tmp_path, "-c", MAIN, "port", "preview", blueprint)
            package = f"usage-assets-{name}"
            said = f"usage-assets: {blueprint}: the package {package} is missing: pip install {package}\n"
            assert (done.returncode, done.stderr) == (2, said)


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
