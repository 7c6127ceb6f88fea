"""``python -m choosing changed``: run the test modules that a change touches; ``slow``: their slow tests, for CI."""

import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from statistics import quantiles

import click

from choosing import deadline, running, tracing
from choosing import map as map_file
from choosing.map import FILE, Entry, is_test_module, selected, used, using, written
from choosing.units import MAP, files, units

ROOT = Path(tracing.ROOT)
WITHOUT = "not browser and not litellm"
TWENTIETH = 20


@click.group()
def main() -> None:
    """Choose tests by what a change touches."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the tests end, too


@main.command()
@click.option("--fresh", is_flag=True, help="forget the map first; without this, a run that was interrupted continues")
@click.option("--all", "every", is_flag=True, help="also modules of which nothing has changed")
@click.option("--within", multiple=True, help="only modules whose path begins so")
@click.option("--list", "only_list", is_flag=True, help="say what would run and why, and run nothing")
@click.option("--workers", default=os.cpu_count() or 1, show_default=True)
def changed(fresh: bool, every: bool, within: Sequence[str], only_list: bool, workers: int) -> None:
    """Run the test modules that use what has changed since they last passed, and note what they use now."""
    if fresh:
        FILE.unlink(missing_ok=True)
    known, tree = _known(), files(ROOT)
    now = units(tree)
    why = selected(known, now) if not every else dict.fromkeys(filter(is_test_module, now), "--all")
    why = {module: reason for module, reason in why.items() if module.startswith(tuple(within) or "")}
    order = sorted(why, key=lambda module: -known[module].seconds if module in known else -1000)
    expected = sum(known[module].seconds for module in order if module in known)
    click.echo(f"{len(order)} of {sum(map(is_test_module, now))} test modules, about {expected:.0f} CPU seconds")
    for module in order:
        click.echo(f"  {module}: {why[module]}")
    if not only_list:
        sys.exit(1 if _run(tree, now, known, order, workers) else 0)


def _known() -> dict[str, Entry]:
    return map_file.read(FILE.read_text()) if FILE.exists() else {}


def _run(
    tree: Mapping[str, bytes], now: Mapping[str, str], known: dict[str, Entry], order: Sequence[str], workers: int
) -> int:
    """Run modules, and write what the passed ones use. Returns how many failed."""
    recognized = tracing.recognized()
    for module in known.keys() - now.keys():
        del known[module]
    failed: list[running.Ran] = []
    began = time.monotonic()
    for n, ran in enumerate(running.run(ROOT, order, workers=workers), start=1):
        last = ran.log.strip().rpartition("\n")[2]
        click.echo(f"{n}/{len(order)} {time.monotonic() - began:.0f} s: {ran.module}: {last}")
        if not ran.passed:
            failed.append(ran)
            continue
        imports = b"sys.modules" in tree[ran.module]
        found = used(ran.record, now, ran.module, recognized=recognized, imports=imports)
        known[ran.module] = Entry(ran.seconds, found)
        FILE.parent.mkdir(exist_ok=True)
        draft = FILE.with_suffix(".draft")
        draft.write_text(written(known, FILE.read_text() if FILE.exists() else ""))
        draft.replace(FILE)
    for ran in failed:
        click.echo(f"\n{'=' * 30} {ran.module}\n{ran.log}")
    took = time.monotonic() - began
    click.echo(f"{len(order) - len(failed)} test modules passed, {len(failed)} failed in {took:.0f} s")
    return len(failed)


@main.command()
@click.option("--since", default="HEAD^1", show_default=True, help="the commit whose map says what has changed")
@click.option("--workers", default=min((os.cpu_count() or 1) + 1, 5), show_default=True)
@click.option("--minutes", type=float, help="begin no test after so many; the nightly run has those that are left")
@click.option("--list", "only_list", is_flag=True, help="say what would run and why, and run nothing")
def slow(since: str, workers: int, minutes: float | None, only_list: bool) -> None:
    """Run the slow tests of the modules that a change touches, and of a twentieth of the others.

    What has passed in ``make test-changed`` is in the tree's own map; the one of a commit before it tells what changed.
    """
    now = units(files(ROOT))
    before = subprocess.run(["git", "show", f"{since}:{MAP}"], cwd=ROOT, capture_output=True, text=True, check=False)
    if before.returncode:
        click.echo(f"{since} has no map: {before.stderr.strip()}")
    touched = selected(_known(), now) | (selected(map_file.read(before.stdout), now) if before.stdout else {})
    pytest = [sys.executable, "-m", "pytest", "-m", f"slow and {WITHOUT}"]
    listed = subprocess.run(
        [*pytest, "--collect-only", "-q"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    modules = sorted({line.partition("::")[0] for line in listed.splitlines() if "::" in line})
    today = datetime.now(UTC).date()
    chosen = [module for module in modules if module in touched]
    rotated = _rotated([module for module in modules if module not in touched], today)
    click.echo(f"slow tests of {len(chosen)} of {len(modules)} modules that the change touches:")
    for module in chosen:
        click.echo(f"  {module}: {touched[module]}")
    click.echo(f"and of a twentieth of the others, by the date {today}: {', '.join(rotated)}")
    if only_list or not chosen + rotated:
        return
    failed: set[str] = set()
    turned = _turned(chosen, today)  # so that it is not always the same ones for which there is no time
    running_tests = [*pytest, "-p", "choosing.deadline", "-n", str(workers), "--dist", "worksteal", *rotated, *turned]
    until = {deadline.UNTIL: str(time.time() + minutes * 60)} if minutes else {}
    environment = os.environ | until
    with subprocess.Popen(running_tests, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            click.echo(line, nl=False)
            failed.update(re.findall(r"^(?:FAILED|ERROR) ([^: ]+)", line))
    for module in sorted(failed.intersection(rotated)):
        click.echo(
            f"{module} fails, and the map had left it out. If the change broke it, the map is wrong: make test-map"
        )
    sys.exit(process.returncode)


def _turned(modules: Sequence[str], today: date) -> list[str]:
    """All of them, each day from another one on."""
    first = today.toordinal() * 7 % max(len(modules), 1)
    return [*modules[first:], *modules[:first]]


def _rotated(modules: Sequence[str], today: date) -> list[str]:
    """A twentieth: another one each day, and all of them in twenty days."""
    return [*modules[today.toordinal() % TWENTIETH :: TWENTIETH]]


@main.command()
@click.argument("count", default=30)
def replay(count: int) -> None:
    """Say what each of the last commits of Python or SQL would have run, by the map as it is now."""
    known = _known()
    listed = ["git", "log", f"-{count}", "--no-merges", "--format=%h", "--", "*.py", "*.sql"]
    costs: list[float] = []
    for commit in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split():
        before, after = (units(_files_of(each)) for each in (f"{commit}^", commit))
        differ = {unit for unit in before.keys() | after.keys() if before.get(unit) != after.get(unit)}
        chosen = using(known, differ) & after.keys()
        costs.append(sum(known[module].seconds for module in chosen))
        click.echo(f"{commit} {len(chosen):4} modules {costs[-1]:7.0f} CPU s")
    total = sum(entry.seconds for entry in known.values())
    parts = " / ".join(f"{part:.0f}" for part in quantiles(costs, n=4))
    click.echo(f"CPU s: quartiles {parts}, most {max(costs):.0f}; all {len(known)} known modules {total:.0f}")


def _files_of(commit: str) -> dict[str, bytes]:
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        return {
            member.name: file.read()
            for member in archive
            if member.name != MAP and (file := archive.extractfile(member)) is not None
        }


if __name__ == "__main__":
    main()
