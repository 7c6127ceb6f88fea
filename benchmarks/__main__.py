"""``python -m benchmarks [windows] [memory] [parsing] [--days N]``: one line a figure; exit 1 where one misses."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping

from benchmarks import memory, parsing, windows
from benchmarks.figures import HEADER, Figure

BENCHMARKS: Mapping[str, Callable[[int], Iterator[Figure]]] = {
    "parsing": parsing.figures,
    "windows": windows.figures,
    "memory": memory.figures,
}


def main() -> None:
    """Run the named benchmarks, or all, and print their figures as they come."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the product against others.")
    parser.add_argument("names", nargs="*", choices=BENCHMARKS, default=[*BENCHMARKS], help="which (all)")
    parser.add_argument("--days", type=int, default=365, help="fewer than 365 for a quick look; demands may then miss")
    arguments = parser.parse_args()
    print(HEADER)
    holds = True
    for name in arguments.names:
        for figure in BENCHMARKS[name](arguments.days):
            print(figure, flush=True)
            holds = holds and figure.holds
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
