"""The committed map: test module -> the units that it used, with their digests, and what it costs.

A module runs when one of its units has changed or is gone, when its own file has, and when the map does not know it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from choosing.tracing import ROOT
from choosing.units import MAP

FILE = Path(ROOT, MAP)
ALL = ("constraints.txt", "pyproject.toml")
"""Files that every module depends on."""
_HEAD = """\
# What each test module uses. make test-changed and make test-map write this file: in a conflict take either side.
# First the modules: number, CPU seconds, file. Then the units: name, digest, numbers of the modules that use it.
"""


@dataclass
class Entry:
    """One test module: how many CPU seconds it takes, and the digest of each unit that it uses."""

    seconds: float
    units: dict[str, str] = field(default_factory=dict)


def is_test_module(name: str) -> bool:
    """Whether a file of the tree holds tests. Those of a stranger's package run where that is installed."""
    return re.search(r"^usage_assets_(tests|sandbox)/(?!plugins/nimbus/)(.*/)?test_[^/]*\.py$", name) is not None


def selected(known: Mapping[str, Entry], units: Mapping[str, str]) -> dict[str, str]:
    """The modules that a tree must run -> why: a unit that has changed."""
    found: dict[str, str] = {}
    for module in filter(is_test_module, units):
        entry = known.get(module)
        if entry is None:
            found[module] = "the map does not know it"
        elif changed := [unit for unit, digest in entry.units.items() if units.get(unit) != digest]:
            found[module] = min(changed, key=lambda unit: (unit != module, unit))
    return found


def using(known: Mapping[str, Entry], changed: Collection[str]) -> set[str]:
    """The modules that use one of these units."""
    return {module for module, entry in known.items() if not entry.units.keys().isdisjoint(changed)}


def used(
    record: Iterable[str], units: Mapping[str, str], module: str, *, recognized: Collection[str], imports: bool
) -> dict[str, str]:
    """The units that the lines of a record stand for. Views and macros count where a statement names them.

    ``recognized``: SQL files whose statements can be told. ``imports``: the module looks at what is imported.
    """
    lines = [*record]
    names = {module, *ALL} | _used(lines, _made(lines), recognized)
    if not imports:
        names = {name for name in names if not name.endswith("::imports")}
    return {name: units[name] for name in names if name in units}


def used_by_test(record: Iterable[str], *, recognized: Collection[str]) -> dict[str, tuple[float, set[str]]]:
    """Each test -> its seconds and what it uses. What a fixture of the module does counts for its first test."""
    lines = [*record]
    made = _made(lines)
    found: dict[str, tuple[float, set[str]]] = {}
    began = 0
    for n, line in enumerate(lines):
        if line.startswith("test "):
            began = n
        elif line.startswith("took "):
            _, seconds, test = line.split(" ", 2)
            found[test] = float(seconds), _used(lines[began:n], made, recognized)
    return found


def _made(lines: Iterable[str]) -> dict[str, set[str]]:
    """Each view or macro -> the files and names in its definition."""
    made: dict[str, set[str]] = {}
    for line in lines:
        if line.startswith("made "):
            _, view, *read = line.split(" ")
            made.setdefault(view, set()).update(read)
    return made


def _used(lines: Iterable[str], made: Mapping[str, set[str]], recognized: Collection[str]) -> set[str]:
    names: set[str] = set()
    words: set[str] = set()
    for line in lines:
        kind, _, rest = line.partition(" ")
        if kind == "word":
            words.add(rest)
        elif kind not in ("made", "test", "took"):
            names.add(line)
            if line.endswith("::declared") and (file := line.removesuffix("::declared")) not in recognized:
                names.add(f"{file}::query")
    open_, seen = [*_named(words, made)], set[str]()
    while open_:
        view = open_.pop()
        if view not in seen:
            seen.add(view)
            names |= {each for each in made[view] if each.endswith("::query")}
            open_ += _named(made[view], made)
    return names


def _named(words: Iterable[str], made: Mapping[str, object]) -> Iterator[str]:
    """The views and macros among these words, also with their database's name before."""
    for word in words:
        parts = word.split(".")
        yield from (name for n in range(len(parts)) if (name := ".".join(parts[n:])) in made)


def read(text: str) -> dict[str, Entry]:
    """Parse the map. Of a text with conflicts, nothing is known."""
    if "<<<<<<<" in text:
        return {}
    numbers: dict[int, str] = {}
    found: dict[str, Entry] = {}
    file = ""
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        if line[0].isdigit():
            n, seconds, module = line.split(" ")
            numbers[int(n)] = module
            found[module] = Entry(float(seconds))
        elif line.startswith(" "):
            unit, digest, users = line[1:].split(" ", 2)
            for number in _expanded(users, numbers):
                found[numbers[number]].units[file + unit.removeprefix(".")] = digest
        else:
            file = line
    return found


def written(known: Mapping[str, Entry], before: str = "") -> str:
    """The map as text. Modules keep the numbers that they had ``before``."""
    old = {int(number): module for number, _, module in re.findall(r"^(\d+) (\S+) (\S+)$", before, re.MULTILINE)}
    numbers = {module: number for number, module in old.items() if module in known}
    for module in sorted(known):
        numbers.setdefault(module, max([*numbers.values(), *old, -1]) + 1)
    lines: dict[tuple[str, str], set[int]] = {}
    for module, entry in known.items():
        for unit, digest in entry.units.items():
            lines.setdefault((unit, digest), set()).add(numbers[module])
    text = [_HEAD]
    for number, module in sorted((number, module) for module, number in numbers.items()):
        text.append(f"{number} {known[module].seconds:.1f} {module}\n")
    last = ""
    for unit, digest in sorted(lines):
        file, colons, rest = unit.partition("::")
        if file != last:
            text.append(f"{file}\n")
            last = file
        text.append(f" {colons + rest or '.'} {digest} {_ranges(lines[unit, digest], numbers.values())}\n")
    return "".join(text)


def _ranges(users: set[int], everybody: Collection[int]) -> str:
    """Numbers as ``0-3 7``, ``all``, or all ``but 4``."""
    others = set(everybody) - users
    if not others:
        return "all"
    if len(others) < len(users):
        return f"but {_runs(others)}"
    return _runs(users)


def _runs(numbers: set[int]) -> str:
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _expanded(users: str, everybody: Collection[int]) -> set[int]:
    if users == "all":
        return {*everybody}
    found: set[int] = set()
    for run in users.removeprefix("but ").split(" "):
        first, _, last = run.partition("-")
        found |= {*range(int(first), int(last or first) + 1)}
    return {*everybody} - found if users.startswith("but ") else found
