"""``python -m choosing``: run the test modules that a change touches, and refresh the map."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path
from statistics import median

import click

from choosing import map as map_file
from choosing import running, tracing
from choosing.map import FILE, Entry, is_test_module, selected, used, written
from choosing.units import files, units

ROOT = Path(__file__).resolve().parents[1]


@click.command()
@click.option("--fresh", is_flag=True, help="forget the map first; what is interrupted is continued without this")
@click.option("--list", "only_list", is_flag=True, help="say what would run and why, and run nothing")
@click.option("--replay", type=int, help="what the last so many commits of Python or SQL would have run")
@click.option("--workers", default=os.cpu_count() or 1, show_default=True)
@click.option("--within", default="", help="only modules whose path begins so")
def main(fresh: bool, only_list: bool, replay: int | None, workers: int, within: str) -> None:
    """Run the test modules that use something that has changed since they last passed, and note what they use now."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the tests end, too
    if fresh:
        FILE.unlink(missing_ok=True)
    known = map_file.read(FILE.read_text()) if FILE.exists() else {}
    if replay:
        _replay(known, replay)
        return
    tree = files(ROOT)
    now = units(tree)
    why = {module: reason for module, reason in selected(known, now).items() if module.startswith(within)}
    order = sorted(why, key=lambda module: -known[module].seconds if module in known else -1000)
    expected = sum(known[module].seconds for module in order if module in known)
    click.echo(f"{len(order)} of {sum(map(is_test_module, now))} test modules, about {expected:.0f} CPU seconds")
    for module in order:
        click.echo(f"  {module}: {why[module]}")
    if only_list:
        return
    sys.exit(1 if _run(tree, now, known, order, workers) else 0)


def _run(tree: dict[str, bytes], now: dict[str, str], known: dict[str, Entry], order: list[str], workers: int) -> int:
    """Run modules, and write what the passed ones use. Returns how many failed."""
    recognized = {name for names in tracing.lines_of_files().values() for name in names}
    for module in [*known]:
        if module not in now:
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
        draft = FILE.with_suffix(".draft")
        draft.write_text(written(known, FILE.read_text() if FILE.exists() else ""))
        draft.replace(FILE)
    for ran in failed:
        click.echo(f"\n{'=' * 30} {ran.module}\n{ran.log}")
    took = time.monotonic() - began
    click.echo(f"{len(order) - len(failed)} test modules passed, {len(failed)} failed in {took:.0f} s")
    return len(failed)


def _replay(known: dict[str, Entry], count: int) -> None:
    """Print what each of the last commits would have run, by today's map, and the median."""
    listed = ["git", "log", f"-{count}", "--no-merges", "--format=%h", "--", "*.py", "*.sql"]
    costs: list[float] = []
    for commit in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split():
        before, after = (units(_files_of(each)) for each in (f"{commit}^", commit))
        changed = {unit for unit in before.keys() | after.keys() if before.get(unit) != after.get(unit)}
        chosen = [
            module
            for module, entry in known.items()
            if module in after and (module not in before or not changed.isdisjoint(entry.units))
        ]
        seconds = sum(known[module].seconds for module in chosen)
        costs.append(seconds)
        click.echo(f"{commit} {len(chosen):4} modules {seconds:7.0f} CPU s")
    total = sum(entry.seconds for entry in known.values())
    click.echo(f"median {median(costs):.0f} CPU s, all modules {total:.0f}; {len(known)} modules are known")


def _files_of(commit: str) -> dict[str, bytes]:
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        return {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isfile() and member.name != "choosing/map.txt"
        }


if __name__ == "__main__":
    main()
