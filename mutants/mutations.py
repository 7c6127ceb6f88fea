"""The mutants of a file and the sample of them that is judged. Nothing here runs a test."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from random import Random

import libcst as cst
from mutmut.mutation.file_mutation import create_mutations, deep_replace

from mutants.sql import faults


@dataclass(frozen=True, order=True)
class Name:
    """A mutant's name. It stays the same when other lines of its file change."""

    file: str
    function: str
    """Qualified; empty at module level."""
    operator: str
    """The kind of syntax that is mutated, such as Comparison."""
    before: str
    after: str
    occurrence: int
    """Of several equal ones in the function, from 0."""

    def __str__(self) -> str:
        where = self.function or ("" if self.file.endswith(".sql") else "(module)")
        return f"{self.file} {where}: {_short(self.before)}  ->  {_short(self.after)}"


@dataclass(frozen=True)
class Mutant:
    """One wrong version of a file."""

    name: Name
    code: str
    """The whole file."""


_Place = list[tuple[Name, cst.CSTNode, cst.CSTNode]]
"""The mutants that may be made of a piece of code, the code, and what replaces it."""


class _Functions(cst.CSTVisitor):
    """The qualified function of each node."""

    def __init__(self) -> None:
        self.stack: list[str] = []
        self.of: dict[cst.CSTNode, str] = {}

    def on_visit(self, node: cst.CSTNode) -> bool:
        self.of[node] = ".".join(self.stack)
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self.stack.append(node.name.value)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self.stack.pop()


def places(root: Path, file: str) -> tuple[cst.Module, list[_Place]]:
    """Parse a file, and find everything in it that can be mutated."""
    module, mutations, *_ = create_mutations(file, (root / file).read_text())
    functions = _Functions()
    module.visit(functions)
    seen: Counter[tuple[str, ...]] = Counter()
    found: dict[cst.CSTNode, _Place] = {}
    for mutation in mutations:
        node, mutated = mutation.original_node, mutation.mutated_node
        before, after = (module.code_for_node(either).strip() for either in (node, mutated))
        if isinstance(node, cst.SimpleString) and after in (before.lower(), before.upper()):
            continue  # most of these are SQL, which means the same
        if isinstance(node, cst.Assign | cst.AnnAssign) and after.endswith("= None"):
            continue  # any test that reads the variable dies of it
        where = (functions.of[node], type(node).__name__, before, after)
        found.setdefault(node, []).append((Name(file, *where, seen[where]), node, mutated))
        seen[where] += 1
    return module, [*found.values()]


def sample(root: Path, files: Sequence[str], *, count: int, least: int, seed: int) -> list[Name]:
    """About ``count`` mutants, each of another place: of each file by its size, and no fewer than ``least``."""
    found = {file: places(root, file)[1] for file in files}
    total = sum(map(len, found.values()))
    random = Random(seed)
    return [
        random.choice(place)[0]
        for file in files
        for place in random.sample(
            found[file], min(len(found[file]), max(least, round(count * len(found[file]) / total)))
        )
    ]


def sample_of_sql(root: Path, files: Sequence[str], *, count: int, seed: int) -> list[Name]:
    """So many mutants of SQL files, of each kind as many."""
    kinds: dict[str, list[Name]] = {}
    for file in files:
        for mutant in _of_sql(root, file):
            kinds.setdefault(mutant.name.operator, []).append(mutant.name)
    random = Random(seed)
    for names in kinds.values():
        random.shuffle(names)
    dealt = [name for names in zip_longest(*kinds.values()) for name in names if name is not None]
    return dealt[:count]


def _of_sql(root: Path, file: str) -> Iterator[Mutant]:
    seen: Counter[tuple[str, ...]] = Counter()
    for operator, before, after, code in faults((root / file).read_text()):
        where = (operator, before, after)
        yield Mutant(Name(file, "", *where, seen[where]), code)
        seen[where] += 1


def made(root: Path, names: Sequence[Name]) -> Iterator[Mutant]:
    """The named mutants, as far as the code that they change is still there."""
    for file in sorted({name.file for name in names if (root / name.file).exists()}):
        if file.endswith(".sql"):
            yield from (mutant for mutant in _of_sql(root, file) if mutant.name in names)
            continue
        module, found = places(root, file)
        for place in found:
            for name, node, mutated in place:
                if name in names:
                    changed = cst.ensure_type(deep_replace(module, node, mutated), cst.Module)
                    yield Mutant(name, changed.code)


def _short(code: str) -> str:
    text = " ".join(code.split())
    return text if len(text) <= 90 else f"{text[:87]}..."
