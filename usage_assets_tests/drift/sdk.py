"""Reads the surface of an API from the source of a generated SDK. Nothing of it is imported or run."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from usage_assets_tests.drift.surface import Asked, normalized

READS = frozenset(("_get", "_get_api_list"))
MAPS = frozenset(("Dict", "Mapping", "dict"))


@dataclass(frozen=True)
class Package:
    """A package's types, by name."""

    folder: Path

    @cached_property
    def files(self) -> Mapping[Path, Mapping[str, ast.ClassDef | ast.expr]]:
        """What each file defines."""
        return {path: dict(_definitions(ast.parse(path.read_text()))) for path in sorted(self.folder.rglob("*.py"))}

    def home(self, place: Path, name: str) -> Path | None:
        """The file that defines a name that another one uses: itself, or where it is imported from."""
        if name in self.files.get(place, {}):
            return place
        homes = [path for path, defined in self.files.items() if name in defined]
        module = _imports(place).get(name, "")
        named = [path for path in homes if path.with_suffix("").as_posix().endswith(f"/{module.replace('.', '/')}")]
        inside = [path for path in homes if f"/{module.replace('.', '/')}/" in path.as_posix()]
        return next(iter((*named, *inside, *homes)), None)

    def leaves(
        self, place: Path, of: ast.expr, prefix: str = "", stem: str = "", within: tuple[str, ...] = ()
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The fields below an annotation, each with the values of its literals.

        Of a union of objects that name themselves, those are left out whose name does not contain ``stem``.
        """
        match of:
            case ast.Constant(value=None):
                return
            case ast.Constant(value=str(text)):
                yield from self.leaves(place, ast.parse(text, mode="eval").body, prefix, stem, within)
            case ast.BinOp(left=left, right=right):
                yield from self.leaves(place, left, prefix, stem, within)
                yield from self.leaves(place, right, prefix, stem, within)
            case ast.Subscript(value=value, slice=inside):
                yield from self._of_generic(place, _name(value), inside, prefix, stem, within)
            case _:
                yield from self._of_name(place, _name(of), prefix, stem, within)

    def _of_generic(
        self, place: Path, name: str, inside: ast.expr, prefix: str, stem: str, within: tuple[str, ...]
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
        if name == "Literal":
            yield prefix, tuple(str(part.value) for part in parts if isinstance(part, ast.Constant))
        elif name in MAPS:
            yield from self.leaves(place, parts[1], f"{prefix}.*" if prefix else "*", stem, within)
        elif name == "Union":
            named = [part for part in parts if self._is_called(place, part, stem)]
            for part in named or parts:
                yield from self.leaves(place, part, prefix, stem, within)
        else:  # a wrapper, a page of items, or Annotated with what is said about it
            yield from self.leaves(place, parts[0], prefix, stem, within)

    def _is_called(self, place: Path, of: ast.expr, stem: str) -> bool:
        """Whether an object names itself by the stem."""
        return bool(stem) and any(
            stem in value for name, values in self.leaves(place, of) for value in values if name == "object"
        )

    def _of_name(
        self, place: Path, name: str, prefix: str, stem: str, within: tuple[str, ...]
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        home = self.home(place, name)
        node = self.files[home][name] if home else None
        if home is None or node is None or name in within:
            yield prefix, ()
        elif isinstance(node, ast.ClassDef):
            fields = list(self._fields(home, node))
            for inner, annotation, where in fields:
                path = f"{prefix}.{inner}" if prefix else inner
                yield from self.leaves(where, annotation, path, stem, (*within, name))
            if not fields:
                yield prefix, ()
        else:
            yield from self.leaves(home, node, prefix, stem, (*within, name))

    def _fields(self, home: Path, node: ast.ClassDef) -> Iterator[tuple[str, ast.expr, Path]]:
        for base in node.bases:
            where = self.home(home, _name(base))
            inherited = self.files[where][_name(base)] if where else None
            if where and isinstance(inherited, ast.ClassDef) and inherited.name not in ("BaseModel", "TypedDict"):
                yield from self._fields(where, inherited)
        for statement in node.body:
            match statement:
                case ast.AnnAssign(target=ast.Name(id=name)) if name != "model_config":
                    yield name, statement.annotation, home


def surface(package: Path, types: str, resources: str, root: str) -> dict[str, Asked]:
    """The endpoints below a root that an SDK reads."""
    known = Package(package / types)
    found: dict[str, Asked] = {}
    for path in sorted((package / resources).rglob("*.py")):
        for function in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)):
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                if _name(call.func) in READS and (route := _route(call)).startswith(root):
                    found.setdefault(route, Asked()).add(_asked(known, path, function, call, route))
    return found


def _definitions(module: ast.Module) -> Iterator[tuple[str, ast.ClassDef | ast.expr]]:
    for node in module.body:
        match node:
            case ast.ClassDef(name=name):
                yield name, node
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value


@cache
def _imports(place: Path) -> Mapping[str, str]:
    """The names that a file imports, and the modules that they come from, without the dots of relative ones."""
    imports = (node for node in ast.walk(ast.parse(place.read_text())) if isinstance(node, ast.ImportFrom))
    return {alias.name: node.module or "" for node in imports for alias in node.names}


def _route(call: ast.Call) -> str:
    match call.args[:1]:
        case [ast.Constant(value=str(path))] | [ast.Call(args=[ast.Constant(value=str(path)), *_])]:
            return normalized(path)
    return ""


def _asked(known: Package, path: Path, function: ast.FunctionDef, call: ast.Call, route: str) -> Asked:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    item = given.get("model") or given.get("cast_to") or given.get("page")
    stem = route.rpartition("/")[2].removesuffix("_calls")
    fields = {name for name, _ in known.leaves(path, item, stem=stem)} if item else set()
    queries = [node.value for node in ast.walk(call) if isinstance(node, ast.keyword) and node.arg == "query"]
    sent = [node for query in queries for node in ast.walk(query) if isinstance(node, ast.Dict)]
    parameters = {str(key.value) for each in sent[:1] for key in each.keys if isinstance(key, ast.Constant)}
    annotated = {argument.arg: argument.annotation for argument in function.args.kwonlyargs}
    group_by = annotated.get("group_by")
    values = {value for _, values in known.leaves(path, group_by) for value in values} if group_by else set()
    return Asked(fields=fields - {""}, group_by=values, parameters=parameters)


def _name(of: ast.expr) -> str:
    """The last part of a name."""
    match of:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=value):
            return _name(value)
    return ""
