"""``python -m mutants``: judge a fixed sample of mutants with the tests of a checkout, and print a table."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import click

from choosing.map import read
from choosing.units import MAP
from mutants.judge import Judge, Map, Verdict
from mutants.mutations import Name, made, sample, sample_of_sql

_HERE = Path(__file__).parent
_CONFIG = tomllib.loads((_HERE / "config.toml").read_text())
_KILLED = ("killed", "timeout")
_TESTS = "usage_assets_tests"


@click.command()
@click.option(
    "--checkout", type=click.Path(path_type=Path), default=_HERE.parent, help="whose code and tests; default: this one"
)
@click.option(
    "--before", type=click.Path(path_type=Path), help="results of another run: judges its sample, and compares"
)
@click.option("--seed", default=_CONFIG["seed"], show_default=True, help="of the sample")
@click.option("--half", type=click.IntRange(1, 2), help="judge only one half of the sample")
@click.option("--keep-map", is_flag=True, help="continue the last run, with its map of tests")
@click.option("--results", type=click.Path(path_type=Path), default=_HERE.parent / ".mutants" / "results.json")
def main(checkout: Path, before: Path | None, seed: int, half: int | None, keep_map: bool, results: Path) -> None:
    """Put small faults into the product, one at a time, and run the tests that execute them.

    Exits with 1 where a mutant survives that the tests of --before killed.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the mutant is taken out of its file
    work = _HERE.parent / ".mutants"
    tree, chosen = work / "tree", work / "map.txt"
    if not keep_map:
        _copy(checkout, tree)
        shutil.copy(tree / MAP, chosen)
        _record(tree, work / "records.log")
    old = _read(before) if before else {}
    names = [*old] or _sample(tree, seed)
    if half:
        names = names[half - 1 :: 2]
    tests = Map(tree, read(chosen.read_text()), tree / ".testmap" / "records", _CONFIG["declarations"])
    judge = Judge(tree, tests, work / "pytest.log", _CONFIG["budget"], _CONFIG["first"])
    found = dict(_read(results)) if keep_map and results.exists() else {}
    mutants = list(made(tree, [name for name in names if name not in found]))
    Random(seed).shuffle(mutants)  # a run that is interrupted has judged some of every file
    for mutant in mutants:
        hint = old[mutant.name].test if mutant.name in old else ""
        found[mutant.name] = verdict = judge.judge(mutant, hint=hint)
        click.echo(f"{verdict.state:<12} {verdict.seconds:5.1f} s  {mutant.name}")
        _write(results, found)
    _refuse_broken_tests(judge, found)
    _write(results, found)
    click.echo("\n".join(_table(found)))
    for name in names:
        if name not in found:
            click.echo(f"the code is gone: {name}")
    lost = [name for name in found if name in old and _worse(old[name], found[name])]
    for name in lost:
        click.echo(f"no longer killed: {name}")
    sys.exit(1 if lost else 0)


def _sample(tree: Path, seed: int) -> list[Name]:
    files, of_sql = (
        sorted({str(path.relative_to(tree)) for glob in _CONFIG[kind] for path in tree.glob(glob)})
        for kind in ("files", "sql_files")
    )
    return [
        *sample(tree, files, count=_CONFIG["count"], least=_CONFIG["least"], seed=seed),
        *sample_of_sql(tree, of_sql, count=_CONFIG["sql_count"], seed=seed),
    ]


def _worse(old: Verdict, new: Verdict) -> bool:
    return old.state in _KILLED and new.state not in _KILLED


def _copy(checkout: Path, tree: Path) -> None:
    """Copy what git tracks. The mutants are written into the copy."""
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=checkout, check=True, capture_output=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(checkout / name, tree / name, follow_symlinks=False)
    for words in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *words], cwd=tree, check=True)


def _record(tree: Path, log: Path) -> None:
    """Run the tests that may judge once, to learn what each of them uses and takes."""
    click.echo("what each test uses")
    within = chain.from_iterable(("--within", f"{_TESTS}/{name}") for name in _CONFIG["tests"])
    environment = os.environ | {"CHOOSING_ROOT": str(tree), "PYTHONPATH": f"{tree}:{_HERE.parent}"}
    command = [sys.executable, "-m", "choosing", "changed", "--all", *within]
    with log.open("w") as written:
        subprocess.run(command, cwd=tree, env=environment, stdout=written, stderr=written, check=False)


def _refuse_broken_tests(judge: Judge, found: dict[Name, Verdict]) -> None:
    """Take back what was killed by a test that also fails without a mutant."""
    tests = sorted({verdict.test for verdict in found.values()} & judge.map.seconds.keys())
    while tests:
        state, failed = judge.run(tests)
        if state == "survived":
            return
        click.echo(f"{failed or 'a test'} fails without a mutant ({state})")
        for name, verdict in found.items():
            if verdict.test == failed:
                found[name] = Verdict("broken test", failed)
        tests = tests[tests.index(failed) + 1 :] if failed in tests else []


def _write(path: Path, found: Mapping[Name, Verdict]) -> None:
    path.write_text(json.dumps([asdict(name) | asdict(verdict) for name, verdict in found.items()], indent=1))


def _read(path: Path) -> Mapping[Name, Verdict]:
    lines: list[dict[str, Any]] = json.loads(path.read_text())
    return {
        Name(**{key: line[key] for key in Name.__match_args__}): Verdict(
            **{key: line[key] for key in Verdict.__match_args__}
        )
        for line in lines
    }


def _table(found: Mapping[Name, Verdict]) -> Iterator[str]:
    """A Markdown table, one line per folder."""
    states: dict[str, Counter[str]] = {}
    for name, verdict in found.items():
        whole = name.file.endswith("money.py")
        folder = (
            "SQL" if name.file.endswith(".sql") else name.file if whole else "/".join(name.file.split("/")[:2]) + "/"
        )
        states.setdefault(folder, Counter())[verdict.state] += 1
    states["all"] = sum(states.values(), Counter())
    yield "| mutated | mutants | killed | of these by time-out | survived | executed by no test |"
    yield "|---|---|---|---|---|---|"
    for folder, counts in states.items():
        killed = sum(counts[state] for state in _KILLED)
        share = f"{killed} ({100 * killed / counts.total():.0f}%)"
        others = (str(counts[state]) for state in ("timeout", "survived", "not executed"))
        yield f"| {' | '.join((folder, str(counts.total()), share, *others))} |"


def _room(file: str) -> str:
    if file.endswith(".sql"):
        return "SQL"
    return file if file.endswith("money.py") else "/".join(file.split("/")[:2]) + "/"


if __name__ == "__main__":
    main()
