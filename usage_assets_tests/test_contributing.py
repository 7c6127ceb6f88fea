"""The recipes in CONTRIBUTING can be followed: their diffs apply to this tree, and what they add works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from usage_assets_tests.alone import needs
from usage_assets_tests.fixtures import IS_NIGHT, ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
NAMES = re.findall(r"^## Add an? (\w+)$", PAGE, flags=re.M)
RECIPES = {name: (ROOT / f"docs/examples/{name}.diff").read_text() for name in NAMES}
COPIED = (
    *(".github", ".env.example", "pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"),
    *(
        "LICENSE",
        "Makefile",
        "conftest.py",
        "dagster.yaml",
        "workspace.yaml",
        "usage_assets",
        "usage_assets_sandbox",
        "demo",
    ),
    *("usage_assets_tests", "website", "docs", "fixtures", "deploy", "benchmarks", "extensions", "conftest.py"),
)
IN_ALL = "not browser"
OF_THE_ADDED = "not TestGithubCopilot and (TestGithub or TestLitellm or not test_conformance)"
LISTING = (
    *("drift", "models/test_views.py", "features/port/test_provision.py", "test_docs.py"),
    *(f"providers/test_{name}.py" for name in ("conformance", "declarations", "fixtures", "github", "one_folder")),
    "../extensions/vendors/usage_assets_vendors_tests/test_conformance.py",
    f"../usage_assets_sandbox/tests{'' if IS_NIGHT else '/test_litellm.py'}",
)
"""Tests that are about every provider, endpoint, table or blueprint, and of what is added."""


def changes(diff: str) -> dict[str, list[str]]:
    """The lines that a diff changes, by file."""
    parts = re.split(r"^diff --git a/(\S+) .*\n", diff, flags=re.M)[1:]
    return {
        path: [line for line in text.partition("\n@@")[2].split("\n") if line[:1] in ("+", "-")]
        for path, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_what_a_recipe_shows_is_its_diff() -> None:
    for name, diff in RECIPES.items():
        section = PAGE.partition(f" {name}\n\n")[2].partition("\n## ")[0]
        blocks = [re.sub("^   ", "", block, flags=re.M) for block in re.findall(r"```diff\n(.*?)   ```", section, re.S)]
        assert blocks, name
        files = changes(diff)
        parts = [part for block in blocks for part in re.split(r"^(?:--- a|\+\+\+ b)/(.*)\n", block, flags=re.M)[1:]]
        for path, text in zip(parts[::2], parts[1::2], strict=True):
            lines = text.rstrip("\n").split("\n")
            rest = iter(files[path])
            assert all(line in rest for line in lines if line != "…"), path
            assert "…" in lines or lines == files[path], path


@needs("vendors")
@pytest.mark.timeout(2400)  # hundreds of tests in one process
def test_what_the_recipes_add_works_and_all_tests_stay_green_that_list_something(tmp_path: Path) -> None:
    """In a copy of this tree in which all were followed, to the letter. The night asks all providers, the day those
    that have changed."""
    for name in COPIED:
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target, follow_symlinks=False)
    places = os.pathsep.join(map(str, (tmp_path, *(tmp_path / "extensions").iterdir())))
    env = {**os.environ, "PYTHONPATH": places, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    subprocess.run(["git", "apply"], input="".join(RECIPES.values()), text=True, cwd=tmp_path, env=env, check=True)
    chosen = "" if IS_NIGHT else OF_THE_ADDED
    listing = (f"usage_assets_tests/{name}" for name in LISTING)
    for words in (
        ("usage_assets_sandbox.tests.record_fixtures",),
        ("usage_assets_tests.snapshot",),
        ("pytest", "-q", "-p", "no:cacheprovider", "-m", IN_ALL, "-k", chosen, *listing),
    ):
        command = [sys.executable, "-m", *words]
        ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout + ran.stderr
