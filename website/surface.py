"""The page of all names that a provider's package may import, from their declarations and docstrings.

It is kept, because authors of packages have no site: ``python -m website.surface`` writes it again.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from usage_assets import provider, testing

PAGE = Path(__file__).parents[1] / "docs" / "provider-reference.md"
HEAD = """# Provider reference

Every name of `usage_assets.provider` and `usage_assets.testing`. [Providers](providers.md) says how to write a package.
A field of a declaration that has no default must be stated. This page is generated: `python -m website.surface`.
"""
GROUPS: Mapping[str, tuple[str, ...]] = {
    "The provider": ("SURFACE", "Provider", "Endpoint", "Lookup", "CostSource", "BilledAs", "TierPrice"),
    "Rows": (
        *("Row", "LookupRow", "column", "Total"),
        *("GroupedBy", "Occurrence", "PageOccurrence", "OtherFields", "CountedFields"),
    ),
    "Columns of lookups": (
        *("ChosenName", "PersonName", "Email", "Role", "Status"),
        *("CreatedAt", "AddedAt", "ArchivedAt", "ExpiresAt"),
    ),
    "Reading an answer": (
        *("Item", "Moment", "Json", "Records", "Parser", "results", "as_json"),
        *("ShapeError", "DayToComeError", "LATER", "NOBODY", "money"),
    ),
    "Pages": ("OneDay", "Cursors", "Numbers"),
    "Windows": ("Window", "DAY", "unix_seconds", "rfc3339", "single_day", "date_range", "date_alone"),
    "Requests": ("bearer", "HeaderAuth", "Each", "Refusal", "error_message"),
    "What must add up": ("Sums", "Control"),
    "Entities of Port": ("Entities", "entity_rows", "ids_in"),
    "Files instead of an API": ("FileReport", "FILE", "ROW", "KEPT", "CORRECTED_BY"),
}
WITH_METHODS = ("Parser", "Window", "Account", "Emulator")
"""Classes that a package calls or overrides; the methods of others are not its own."""
TESTING = ("ProviderSuite", "Emulator", "Refused", "Account", "last_days", "serve", "trial")


class Stated(NamedTuple):
    """What the source says of a name."""

    kind: str
    default: str
    meaning: str


def page() -> str:
    """Return the page."""
    lines = [HEAD]
    for title, names in GROUPS.items():
        lines += [f"## {title}\n", *_section(provider, names)]
    return "\n".join([*lines, "## Tests: usage_assets.testing\n", *_section(testing, TESTING)]).rstrip() + "\n"


def _section(surface: ModuleType, names: Iterable[str]) -> Iterator[str]:
    """Yield a table of the names that need one line, then a part for each class with fields."""
    found = {name: getattr(surface, name) for name in names}
    parts = {name: _fields(each) for name, each in found.items() if inspect.isclass(each) and _own(each)}
    lines = [f"| `{name}` | {_meaning(surface, name, each)} |" for name, each in found.items() if name not in parts]
    if lines:
        yield "\n".join(["| name | what it is |", "|---|---|", *lines, ""])
    for name, fields in parts.items():
        yield f"### {name}\n\n{_prose(inspect.getdoc(found[name]) or '')}\n"
        yield "| name | type | default | meaning |\n|---|---|---|---|"
        for field, stated in fields.items():
            yield f"| `{field}` | {_code(stated.kind)} | {_code(stated.default)} | {_cell(stated.meaning)} |"
        yield ""


def _meaning(surface: ModuleType, name: str, value: Any) -> str:
    """Say what a column, function, module or constant is."""
    described = getattr(get_args(value)[1], "description", None) if get_origin(value) is Annotated else None
    if described:
        kind = get_args(value)[0]
        return f"column of type {_code(getattr(kind, '__name__', str(kind)))}: {_cell(described)}"
    if inspect.ismodule(value):
        return _cell(inspect.getdoc(value) or "")
    if inspect.isfunction(value) or inspect.isclass(value):
        return f"{_code(_called(value))} {_cell(inspect.getdoc(value) or '')}"
    stated = _statements(ast.parse(inspect.getsource(_home(surface, name))).body)[name]
    return f"{_code(stated.default)} {_cell(stated.meaning)}"


def _own(value: type) -> Mapping[str, Stated]:
    """Return what a class adds to its bases; an error adds nothing that a package declares."""
    return {} if issubclass(value, BaseException) else _statements(_node(value).body) or _methods(value)


def _fields(value: type) -> Mapping[str, Stated]:
    """Return the public fields of a class, those of its bases first, and the methods of some."""
    found: dict[str, Stated] = {}
    for each in reversed(value.__mro__):
        if each.__module__.startswith("usage_assets."):
            for name, stated in {**_statements(_node(each).body), **_methods(each)}.items():
                if not name.startswith("_"):
                    before = found.get(name, stated)
                    kind, meaning = stated.kind or before.kind, stated.meaning or before.meaning
                    found[name] = Stated(kind, stated.default, meaning)
    return found


def _methods(value: type) -> Mapping[str, Stated]:
    methods = [each for each in _node(value).body if isinstance(each, ast.FunctionDef)]
    shown = methods if value.__name__ in WITH_METHODS else ()
    return {each.name: Stated(_signature(each), "", ast.get_docstring(each) or "") for each in shown}


def _statements(body: Sequence[ast.stmt]) -> dict[str, Stated]:
    """Return what is declared or assigned, with the text below it."""
    found: dict[str, Stated] = {}
    for statement, after in zip(body, [*body[1:], None], strict=True):
        said = after.value if isinstance(after, ast.Expr) else None
        meaning = str(said.value) if isinstance(said, ast.Constant) else ""
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            kind, default = statement.annotation, statement.value
            if described := re.fullmatch(r"Annotated\[(.*), column\('(.*)'\)\]", ast.unparse(kind)):
                shown, meaning = described.groups()
            else:
                shown = re.sub(r"^ClassVar\[(.*)\]$", r"\1", ast.unparse(kind))
            found[statement.target.id] = Stated(shown, _default(default), meaning)
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = Stated("", _default(statement.value), meaning)
    return found


def _default(value: ast.expr | None) -> str:
    """Return a default as its reader would write it; a pattern is too long to help."""
    text = ast.unparse(value) if value else ""
    return {"field(default_factory=dict)": "{}"}.get(text, "re.Pattern" if text.startswith("re.compile") else text)


def _node(value: type) -> ast.ClassDef:
    return next(each for each in ast.parse(inspect.getsource(value)).body if isinstance(each, ast.ClassDef))


def _home(surface: ModuleType, name: str) -> ModuleType:
    """Return the module that a surface has a name from."""
    for node in ast.parse(inspect.getsource(surface)).body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
            return sys.modules[str(node.module)]
    raise LookupError(name)


def _called(value: Any) -> str:
    """Return how a function or class is called."""
    body = _node(value).body if inspect.isclass(value) else ast.parse(inspect.getsource(value)).body
    functions = [each for each in body if isinstance(each, ast.FunctionDef)]
    if not inspect.isclass(value):
        return _signature(functions[0])
    return value.__name__ + next((_arguments(each) for each in functions if each.name == "__init__"), "")


def _signature(node: ast.FunctionDef) -> str:
    if any(ast.unparse(each) == "property" for each in node.decorator_list):
        return ast.unparse(node.returns) if node.returns else ""
    return f"{node.name}{_arguments(node)}" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


def _arguments(node: ast.FunctionDef) -> str:
    return f"({ast.unparse(node.args).removeprefix('self').removeprefix(', ')})"


def _prose(text: str) -> str:
    """Return a docstring as Markdown."""
    return inspect.cleandoc(text).replace("``", "`")


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", _prose(text)).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|") if text else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
