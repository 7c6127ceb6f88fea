"""``python -m choosing changed``: run the test modules and note what each uses, for ``make mutants``."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from choosing import map as map_file
from choosing import running, tracing
from choosing.map import FILE, Entry, is_test_module, selected, used, written
from choosing.units import files, units

ROOT = Path(tracing.ROOT)


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


if __name__ == "__main__":
    main()
