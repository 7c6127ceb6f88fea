"""Packages of providers as their users have them: a wheel that pip has installed into a folder."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]


def wheel_of(project: Path, folder: Path) -> Path:
    """Build the wheel of a project, as its pyproject.toml says. What setuptools would do, which may not be here."""
    stated = tomllib.loads((project / "pyproject.toml").read_text())
    name, version = stated["project"]["name"].replace("-", "_"), stated["project"]["version"]
    info = f"{name}-{version}.dist-info"
    entries = stated["project"]["entry-points"].items()
    texts = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {stated['project']['name']}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "".join(
            f"[{group}]\n" + "".join(f"{entry} = {value}\n" for entry, value in named.items())
            for group, named in entries
        ),
    }
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as written:
        for file in packaged(project, stated["tool"]["setuptools"]["package-data"]):
            written.write(file, file.relative_to(project))
        for path, text in texts.items():
            written.writestr(path, text)
        record = "".join(f"{path},,\n" for path in [*written.namelist(), f"{info}/RECORD"])
        written.writestr(f"{info}/RECORD", record)
    return wheel


def packaged(project: Path, data: dict[str, list[str]]) -> Iterator[Path]:
    """Yield the modules and the data of a project's packages."""
    for package, patterns in data.items():
        for pattern in ("**/*.py", *patterns):
            yield from sorted((project / package).glob(pattern))


def install(wheel: Path, site: Path) -> None:
    """Install a wheel into a folder, without network."""
    options = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(site))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)


RULES = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
"""Runs the tests of a package."""


def tests_of(project: Path, folder: Path) -> Path:
    """Copy the tests of a project, with cheaper instances in memory."""
    tests = Path(shutil.copytree(project / "tests", folder / "tests"))
    shutil.copy(ROOT / "usage_assets_tests" / "ephemeral.py", tests / "conftest.py")
    return tests


def environment(*sites: Path, **variables: str) -> dict[str, str]:
    """The environment of a process that has these packages. An empty variable, as compose files set it, hides none."""
    path = os.pathsep.join(map(str, (ROOT, *sites)))
    return {**os.environ, "PYTHONPATH": path, "USAGE_PLUGINS": "", **variables}


def run(*arguments: str, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder: in a fork of a process that has imported nothing of ours (warm.py)."""
    warm = _warm()
    assert warm.stdin
    assert warm.stdout
    with TemporaryDirectory() as printed:
        outputs = {name: str(Path(printed, name)) for name in ("stdout", "stderr")}
        request = {"arguments": arguments, "folder": str(folder), "env": env, **outputs}
        warm.stdin.write(f"{json.dumps(request)}\n")
        warm.stdin.flush()
        code = int(warm.stdout.readline())
        texts = {name: Path(path).read_text() for name, path in outputs.items()}
    return subprocess.CompletedProcess(arguments, code, **texts)


@cache
def _warm() -> subprocess.Popen[str]:
    """The process that runs them. It ends with this one, which closes its input."""
    command = [sys.executable, str(Path(__file__).with_name("warm.py"))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)
    return process
