"""What a project needs around its code: metadata, versions, workflows, hooks and the way of a release."""

import ast
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # Dagster's, without types

from usage_assets.core.installed import EXTENSIONS, package_of
from usage_assets_tests.alone import needs

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"
TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT: dict[str, Any] = tomllib.loads(TEXT)["project"]
EXTENSION_FILES = sorted(ROOT.glob("extensions/*/pyproject.toml"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
SECURITY = (ROOT / "SECURITY.md").read_text()
PATHS = sorted((GITHUB / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, Any] = {path.stem: yaml.safe_load(path.read_text()) for path in PATHS}
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
MAY_WRITE = {("release", "attest"): {"attestations", "id-token"}, ("release", "publish"): {"id-token"}}
"""Which jobs may do more than read: (workflow, job) -> what."""
MODULES = {
    "fpdf2": "fpdf",
    "python-dotenv": "dotenv",
    "pyyaml": "yaml",
    "ruamel.yaml": "ruamel",
    "vl-convert-python": "vl_convert",
}
"""Packages whose module is called otherwise."""
CALLED = {"vl-convert-python"}
"""Imported by another package when it is called: Altair, for pictures."""
OF_DUCKDB = "duckdb-extension-"
"""Packages that DuckDB loads from their files."""
OF_USERS = {"polars"}
"""Imported where a user asks for it, who has it."""
reasons = runpy.run_path(str(GITHUB / "release_ready.py"))["reasons"]


def jobs() -> list[tuple[str, str, dict[str, Any]]]:
    """All jobs: workflow, name, what it states."""
    return [(name, job, stated) for name, workflow in WORKFLOWS.items() for job, stated in workflow["jobs"].items()]


def steps() -> list[dict[str, Any]]:
    return [step for _, _, job in jobs() for step in job["steps"]]


def test_the_workflows_and_dependabot_are_valid() -> None:
    validated("custom.github-workflows-require-timeout", *PATHS)
    validated("vendor.github-workflows", *PATHS)
    validated("vendor.dependabot", GITHUB / "dependabot.yml")


def validated(schema: str, *files: Path) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run([program, "--builtin-schema", schema, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_run_on_each_python_that_the_package_names() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    matrix = WORKFLOWS["tests"]["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert named == matrix == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"


def test_an_extension_is_of_the_version_of_the_core_and_each_of_its_names_agrees() -> None:
    folders = {path.parent.name: tomllib.loads(path.read_text())["project"] for path in EXTENSION_FILES}
    assert folders.keys() == EXTENSIONS.keys()
    tools = tomllib.loads(TEXT)["tool"]
    assert {*tools["importlinter"]["root_packages"]} >= {f"usage_assets_{name}" for name in folders}
    assert tools["pytest"]["ini_options"]["pythonpath"] == [f"extensions/{name}" for name in sorted(folders)]
    for name, stated in folders.items():
        assert (stated["name"], stated["version"]) == (package_of(name), PROJECT["version"])
        assert f"{PROJECT['name']}=={PROJECT['version']}" in stated["dependencies"]
        adds, found = EXTENSIONS[name], stated["entry-points"]
        assert found.get("usage_assets.providers", {}).keys() == {*adds.providers}
        is_feature = bool(adds.sections or adds.commands)
        feature = {name: f"usage_assets_{name}:FEATURE"} if is_feature else {}
        assert found.get("usage_assets.features", {}) == feature
        assert PROJECT["optional-dependencies"][name] == [f"{package_of(name)}=={PROJECT['version']}"]
        assert re.search(rf"\b{name}\b", PROJECT["optional-dependencies"]["all"][0])


def test_an_extension_imports_what_it_declares_and_nothing_else() -> None:
    for file in EXTENSION_FILES:
        project = tomllib.loads(file.read_text())["project"]
        named = {re.split(r"[\[<>=]", each)[0] for each in project["dependencies"]}
        required = {name for name in named if not name.startswith(OF_DUCKDB)}
        optional = [each for of_it in project.get("optional-dependencies", {}).values() for each in of_it]
        extras = {re.split(r"[\[<>=]", each)[0] for each in optional}
        package = file.with_name(f"usage_assets_{file.parent.name}")
        imported = imports_of(package) - sys.stdlib_module_names - {package.name}
        module_of = {name: MODULES.get(name, name.replace("-", "_")) for name in required | extras}
        assert imported - OF_USERS - {*module_of.values()} == set()
        assert {name for name in required if module_of[name] not in imported} <= CALLED


def test_the_core_requires_nothing_that_it_does_not_import() -> None:
    required = {re.split(r"[\[<>=]", each)[0] for each in PROJECT["dependencies"]}
    imported = imports_of(ROOT / "usage_assets")
    names = {name: MODULES.get(name, name.replace("-", "_")) for name in required}
    assert {name for name in required if names[name] not in imported} == {"dagster-webserver"}, "Dagster starts it"


def imports_of(package: Path) -> set[str]:
    """The first part of the name of each module that a package imports, anywhere."""
    files = sorted(package.rglob("*.py"))
    assert files
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    names = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {name.partition(".")[0] for name in names}


def test_the_workflows_call_targets_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    called = {target for step in steps() for target in re.findall(r"\bmake ([\w-]+)", step.get("run", ""))}
    assert {"check", "docs", "test", "nightly", "wheel"} <= called <= targets


@needs(*EXTENSIONS)
def test_the_benchmarks_find_what_they_import() -> None:
    command = ["make", "bench", f"BIN={Path(sys.executable).parent}", "READY=", "BENCHMARKS=--help"]
    assert b"volume" in subprocess.check_output(command, cwd=ROOT)


def test_actions_are_pinned_to_one_version_each() -> None:
    pins = {step["uses"] for step in steps() if "uses" in step}
    assert pins
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@v\d+\.\d+\.\d+", pin) for pin in pins)
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins)


def test_a_job_may_only_read_unless_it_is_named_here() -> None:
    for name, job, stated in jobs():
        default = WORKFLOWS[name]["permissions"]
        granted = stated.get("permissions", default)
        assert set(default.values()) <= {"read"}
        assert {right for right, level in granted.items() if level != "read"} == MAY_WRITE.get((name, job), set())
        assert "secrets." not in str(stated)


def test_no_step_puts_what_others_write_into_a_shell() -> None:
    theirs = re.compile(r"\$\{\{ *(inputs|github\.(event|head_ref))")
    assert not [step for step in steps() if theirs.search(step.get("run", ""))]


def test_one_place_states_the_version() -> None:
    readers = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.*")]
    readers += [*(ROOT / "usage_assets").rglob("*.py")]
    elsewhere = re.compile(rf"(?<![\d.]){re.escape(PROJECT['version'])}(?![\d.]*\d)")
    found = [path.name for path in readers if path.is_file() and elsewhere.search(path.read_text())]
    assert found == ["CHANGELOG.md"]


READY = ("v1.2.3", '[project]\nversion = "1.2.3"\n', "# Changelog\n\n## [1.2.3] - 2026-11-25\n", "Write to us.")
WRONG = (
    (0, "v1.2.4", "pyproject.toml states 1.2.3, and the tag is v1.2.4"),
    (2, "## [Unreleased]\n\n## [1.2.3] - 2026-11-25\n", "CHANGELOG.md: the first section"),
    (2, "## [1.2.3]\n", "CHANGELOG.md: the first section"),
    (3, "https://git.example.com/", "SECURITY.md names git.example.com"),
)


def test_a_tag_that_is_not_ready_is_refused() -> None:
    assert reasons(*READY) == []
    for place, text, said in WRONG:
        (reason,) = reasons(*READY[:place], text, *READY[place + 1 :])
        assert reason.startswith(said)


def test_the_placeholder_of_the_project_keeps_it_from_being_published() -> None:
    """Whoever gives the project a public home deletes this test."""
    said = reasons(f"v{PROJECT['version']}", TEXT, CHANGELOG, SECURITY)
    assert [line.split()[0] for line in said if "git.example.com" in line] == ["pyproject.toml", "SECURITY.md"]
