"""The units of a tree and their digests: what can change on its own.

| unit | is |
|---|---|
| ``file`` | its whole text |
| ``folder/`` | the names in it |
| ``*`` | all files |
| ``file.py::function`` | a function or method, and the values at module level that it names |
| ``file.py::`` | what else runs when the module is imported: classes, decorators, statements, the values they name |
| ``file.py::imports`` | which modules it imports |
| ``file.sql::query`` | all but the lines ``-- name: ...`` |
| ``file.sql::declared`` | these lines, which the product reads when it is imported |

Comments, formatting and the docstrings of values and of undecorated functions change no unit but the file's text.
"""

import ast
import builtins
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

MAP = "choosing/map.txt"
"""No unit: it changes when the tests have run."""
EVERYTHING = "*"
"""The unit of those that read we know not what: the whole tree."""
_DECLARES = re.compile(r"-- \w+: ")
_SAYS_NOTHING = ("ctx", "kind", "type_comment")
_NAMES = (ast.Name, ast.Tuple)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(root: Path) -> dict[str, bytes]:
    """What git tracks or would add, as it is now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = {name: root / name for name in filter(None, listed.split("\0")) if name != MAP}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}


def units(tree: Mapping[str, bytes]) -> dict[str, str]:
    """The digest of each unit of a tree."""
    found = {name: _digest(content) for name, content in tree.items()}
    found[EVERYTHING] = _digest("".join(f"{name} {digest}" for name, digest in sorted(found.items())).encode())
    folders: dict[str, set[str]] = {}
    for name in tree:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            folders.setdefault("/".join(parts[:depth]) + "/", set()).add(parts[depth])
    found |= {folder: _digest("\n".join(sorted(names)).encode()) for folder, names in folders.items()}
    modules = {name: _module(content) for name, content in tree.items() if name.endswith(".py")}
    values = _Values({_dotted(name): module for name, module in modules.items()})
    for name, module in modules.items():
        for unit, code in module.code.items():
            read = values.of(_dotted(name), code.names)
            found[f"{name}::{unit}"] = _digest("\n".join((code.text, *read)).encode())
        found[f"{name}::imports"] = _digest("\n".join(sorted({source for source, _ in module.imported})).encode())
    for name, content in tree.items():
        if name.endswith(".sql"):
            lines = content.decode().splitlines()
            found[f"{name}::declared"] = _digest("\n".join(filter(_DECLARES.match, lines)).encode())
            found[f"{name}::query"] = _digest("\n".join(line for line in lines if not _DECLARES.match(line)).encode())
    return found


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:8]


def _dotted(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@dataclass(frozen=True)
class _Code:
    text: str
    names: frozenset[str]


@dataclass
class _Module:
    code: dict[str, _Code] = field(default_factory=dict)
    """Function -> its code; the empty name stands for what runs at import."""
    values: dict[str, list[_Code]] = field(default_factory=dict)
    """Name -> what is assigned to it at module level."""
    names: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """Name -> the module and the name that are imported as it; no name where it is the module."""
    imported: set[tuple[str, str]] = field(default_factory=set)


@cache
def _module(content: bytes) -> _Module:
    try:
        tree = ast.parse(content)
    except SyntaxError:
        return _Module({"": _Code(_digest(content), frozenset())})
    module, rest = _Module(), []
    for node in tree.body:
        match node:
            case ast.Import(names=names):
                for each in names:
                    module.names.setdefault(each.asname or each.name.partition(".")[0], set()).add((each.name, ""))
                    module.imported.add((each.name, ""))
            case ast.ImportFrom(module=source, names=names, level=0) if source and names[0].name != "*":
                for each in names:
                    module.names.setdefault(each.asname or each.name, set()).add((source, each.name))
                    module.imported.add((source, each.name))
            case ast.Assign(targets=targets, value=value) if all(isinstance(each, _NAMES) for each in targets):
                for target in {each.id for part in targets for each in ast.walk(part) if isinstance(each, ast.Name)}:
                    module.values.setdefault(target, []).append(_code(value))
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value):
                module.values.setdefault(target, []).append(_code(value))
            case _:
                rest.append(node)
    taken = {*module.names, *module.values, *dir(builtins)}
    skeleton = [*_definitions(rest, "", module, taken, listed=False)]
    if not (docstring := ast.get_docstring(tree)) or not any(
        isinstance(each, ast.Name) and each.id == "__doc__" for each in ast.walk(tree)
    ):
        docstring = ""
    texts = [_code(node) for node in skeleton]
    module.code[""] = _Code(
        "\n".join((docstring, *(each.text for each in texts))), frozenset().union(*(each.names for each in texts))
    )
    return module


def _definitions(
    body: Sequence[ast.stmt], prefix: str, module: _Module, taken: set[str], *, listed: bool
) -> Iterator[ast.AST]:
    """Add the functions to the module; yield what runs at import.

    A function that nothing decorates is known by its callers alone, if its name hides no other: a method of a class
    with bases may, and is ``listed``.
    """
    for node in body:
        if isinstance(node, _Function):
            name = f"{prefix}{node.name}"
            again = module.code.get(name)  # such as the setter of a property
            code = _code(*_executed(node))
            module.code[name] = _Code(again.text + code.text, again.names | code.names) if again else code
            if node.decorator_list:
                yield from (*node.decorator_list, node.args, *filter(None, [node.returns]))
                yield ast.Constant(f"{name}: {ast.get_docstring(node)}")
            elif listed or node.name in taken or node.name.startswith("__"):
                yield ast.Constant(name)
        elif isinstance(node, ast.ClassDef):
            yield from (*node.decorator_list, *node.bases, *node.keywords)
            yield ast.Constant(f"{prefix}{node.name}")
            yield from _definitions(node.body, f"{prefix}{node.name}.", module, set(), listed=bool(node.bases))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and not (prefix and node is body[0]):
            pass  # it describes the module, or what is before it
        else:
            yield node
            under = [inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)]
            tuple(_definitions(under, prefix, module, taken, listed=True))  # for the functions under a condition


def _executed(node: _Function) -> Iterator[ast.AST]:
    yield node.args
    yield from node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body


def _code(*nodes: ast.AST) -> _Code:
    return _Code(
        "\n".join(_dump(node) for node in nodes),
        frozenset(each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name)),
    )


def _dump(node: object) -> str:
    """Like ast.dump, several times as fast."""
    if isinstance(node, ast.AST):
        parts = [_dump(getattr(node, name, None)) for name in node._fields if name not in _SAYS_NOTHING]
        return f"{type(node).__name__}({','.join(parts)})"
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    return repr(node)


@dataclass
class _Values:
    """Values at module level, followed through imports."""

    modules: Mapping[str, _Module]
    _found: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def of(self, module: str, names: Iterable[str]) -> list[str]:
        """What these names of a module stand for."""
        return sorted(frozenset().union(*(self._all(module, name) for name in names)))

    def _all(self, module: str, name: str) -> frozenset[str]:
        """The texts of a value and of all values that it is made of."""
        if (module, name) not in self._found:
            seen, open_, texts = {(module, name)}, [(module, name)], set()
            while open_:
                where = open_.pop()
                for text, further in self._one(*where):
                    texts.add(text)
                    new = further - seen
                    seen |= new
                    open_ += new
            self._found[module, name] = frozenset(texts)
        return self._found[module, name]

    def _one(self, module: str, name: str) -> Iterator[tuple[str, set[tuple[str, str]]]]:
        known = self.modules.get(module)
        if known is None:
            return
        for code in known.values.get(name, ()):
            yield _digest(code.text.encode()), {(module, each) for each in code.names}
        for source, imported in known.names.get(name, ()):
            inner = self.modules.get(f"{source}.{imported}") if imported else self.modules.get(source)
            if inner is not None:  # a module: any of its values may be read
                where = f"{source}.{imported}" if imported else source
                yield f"{name}: {where}", {(where, each) for each in inner.values}
            else:
                yield f"{name}: {source}.{imported}", {(source, imported)}
