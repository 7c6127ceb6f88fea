"""The mutants of a file and the sample of them that is judged. Nothing here runs a test."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import create_mutations, deep_replace


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
        return f"{self.file} {self.function or '(module)'}: {_short(self.before)}  ->  {_short(self.after)}"


@dataclass(frozen=True)
class Mutant:
    """One wrong version of a file."""

    name: Name
    code: str
    """The whole file."""
    lines: range
    """The lines that are mutated."""
    scope: range
    """The lines of the function; none at module level."""


@dataclass(frozen=True)
class _Place:
    """A piece of code and the mutants that may be made of it."""

    names: Sequence[tuple[Name, cst.CSTNode, cst.CSTNode]]
    lines: range
    scope: range


class _Functions(cst.CSTVisitor):
    """The qualified function of each node."""

    def __init__(self) -> None:
        self.stack: list[tuple[str, cst.CSTNode]] = []
        self.of: dict[cst.CSTNode, tuple[str, cst.CSTNode | None]] = {}

    def on_visit(self, node: cst.CSTNode) -> bool:
        functions = [outer for _, outer in self.stack if isinstance(outer, cst.FunctionDef)]
        self.of[node] = (".".join(name for name, _ in self.stack), functions[0] if functions else None)
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self.stack.append((node.name.value, node))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self.stack.pop()


def places(root: Path, file: str) -> tuple[cst.Module, list[_Place]]:
    """Parse a file, and find everything in it that can be mutated."""
    module, mutations, *_ = create_mutations(file, (root / file).read_text())
    ranges = MetadataWrapper(module, unsafe_skip_copy=True).resolve(PositionProvider)
    functions = _Functions()
    module.visit(functions)
    seen: Counter[tuple[str, ...]] = Counter()
    found: dict[cst.CSTNode, list[tuple[Name, cst.CSTNode, cst.CSTNode]]] = {}
    for mutation in mutations:
        node, mutated = mutation.original_node, mutation.mutated_node
        before, after = (module.code_for_node(either).strip() for either in (node, mutated))
        if isinstance(node, cst.SimpleString) and after in (before.lower(), before.upper()):
            continue  # most of these are SQL, which means the same
        if isinstance(node, cst.Assign | cst.AnnAssign) and after.endswith("= None"):
            continue  # any test that reads the variable dies of it
        where = (functions.of[node][0], type(node).__name__, before, after)
        found.setdefault(node, []).append((Name(file, *where, seen[where]), node, mutated))
        seen[where] += 1
    return module, [
        _Place(names, _lines(ranges, node), _lines(ranges, functions.of[node][1])) for node, names in found.items()
    ]


def sample(root: Path, files: Sequence[str], *, count: int, least: int, seed: int) -> list[Name]:
    """About ``count`` mutants, each of another place: of each file by its size, and no fewer than ``least``."""
    found = {file: places(root, file)[1] for file in files}
    total = sum(map(len, found.values()))
    random = Random(seed)
    return [
        random.choice(place.names)[0]
        for file in files
        for place in random.sample(
            found[file], min(len(found[file]), max(least, round(count * len(found[file]) / total)))
        )
    ]


def made(root: Path, names: Sequence[Name]) -> Iterator[Mutant]:
    """The named mutants, as far as the code that they change is still there."""
    for file in sorted({name.file for name in names if (root / name.file).exists()}):
        module, found = places(root, file)
        for place in found:
            for name, node, mutated in place.names:
                if name in names:
                    changed = cst.ensure_type(deep_replace(module, node, mutated), cst.Module)
                    yield Mutant(name, changed.code, place.lines, place.scope)


def _lines(ranges: Mapping[cst.CSTNode, CodeRange], node: cst.CSTNode | None) -> range:
    return range(ranges[node].start.line, ranges[node].end.line + 1) if node else range(0)


def _short(code: str) -> str:
    text = " ".join(code.split())
    return text if len(text) <= 90 else f"{text[:87]}..."
