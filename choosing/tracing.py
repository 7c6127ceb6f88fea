"""Record what the tests of a module use: in this process, in each that it starts, and in those that are killed.

Loaded before the product: by the process that runs the module, and by a ``.pth`` file in each Python that inherits
``CHOOSING_RECORD``. Nothing of the project is imported here. A unit is written when it is first used, so that a process
may be killed at any time. Recorded are:

* functions, with a call that is put at their beginning when their module is imported
* modules that are imported, files that are read, folders that are listed
* queries: which SQL files a statement holds lines of, the names in it, and the views and macros that it makes
"""

import ast
import builtins
import hashlib
import importlib.machinery
import importlib.util
import marshal
import os
import re
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

ROOT = os.environ.get("CHOOSING_ROOT", str(Path(__file__).resolve().parents[1])) + "/"
WORK = f"{ROOT}.testmap"
PTH = """\
import os, builtins; "CHOOSING_RECORD" in os.environ and not hasattr(builtins, "__touched__") and \
exec("import importlib.util as i; s = i.spec_from_file_location('choosing_tracing', os.environ['CHOOSING_TRACER']); \
m = i.module_from_spec(s); s.loader.exec_module(m); m.install()")
"""
"""What a ``.pth`` file holds, so that each Python that the tests start records, too."""
EVERYTHING = "*"
"""Recorded where a process cannot be followed: the module then depends on every file."""

_LOADS = ("<frozen importlib", "linecache.py", "/_pytest/", "/hypothesis/", "choosing/tracing.py")
"""Who reads what is no text for the test: imports, tracebacks, pytest, and hypothesis, which looks for constants."""
_FOLLOWS_NOTHING = ("make", "ruff", "mypy", "bash", "sh")
_BUILDS = re.compile(
    r"\s*create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+)?(?:view|macro|function)\s+(?:if\s+not\s+exists\s+)?([\w.]+)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")

_seen: set[str] = set()
_statements: set[int] = set()
_lines: dict[str, list[str]] = {}


def touched(*units: str) -> None:
    """Write down what is used now. The file is not held open: some processes close every file that they inherit."""
    new = [unit for unit in units if unit not in _seen]
    if not new:
        return
    _seen.update(new)
    try:
        record = os.open(os.environ["CHOOSING_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(record, ("\n".join(new) + "\n").encode())
        os.close(record)
    except (OSError, KeyError):  # a test has taken away descriptors, rights or variables
        _seen.difference_update(new)


def begin(test: str) -> None:
    """Whatever is used from now on, this test uses."""
    _seen.clear()
    _statements.clear()
    touched(f"test {test}")


def install() -> None:
    """Record from now on."""
    builtins.__touched__ = touched  # type: ignore[attr-defined]
    importlib.machinery.SourceFileLoader.get_code = _get_code  # type: ignore[method-assign, assignment]
    sys.meta_path.insert(0, _DuckDB())
    sys.addaudithook(_on_event)
    if "_duckdb" in sys.modules:
        _trace_statements(sys.modules["_duckdb"])
        _trace_statements(sys.modules["duckdb"])


_original_get_code = importlib.machinery.SourceFileLoader.get_code


def _get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> CodeType | None:
    """A module of the project with calls of ``touched``; its bytecode is kept apart from the real one."""
    name = _ours(self.path)
    if name is None or name == "choosing/tracing.py":
        return _original_get_code(self, fullname)
    touched(f"{name}::", f"{name}::imports")
    source = Path(self.path).read_bytes()
    cached = f"{WORK}/bytecode/{hashlib.sha256(name.encode() + source).hexdigest()[:24]}"
    try:
        return marshal.loads(Path(cached).read_bytes())  # type: ignore[no-any-return]  # noqa: S302 - ours
    except (FileNotFoundError, EOFError, ValueError):
        tree = ast.parse(source, self.path)
        _instrument(tree.body, f"{name}::")
        code: CodeType = compile(tree, self.path, "exec", dont_inherit=True)
        draft = f"{cached}.{os.getpid()}"
        os.makedirs(f"{WORK}/bytecode", exist_ok=True)  # noqa: PTH103 - Path would be imported by each process
        Path(draft).write_bytes(marshal.dumps(code))
        os.replace(draft, cached)  # noqa: PTH105
        return code


def _instrument(body: list[ast.stmt], prefix: str) -> None:
    """Put a call into each function of a module and of its classes; functions within functions belong to them."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            call = ast.parse(f"__touched__({prefix + node.name!r})").body[0]
            for each in ast.walk(call):
                ast.copy_location(each, first)
            says = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            node.body.insert(1 if says else 0, call)
        elif isinstance(node, ast.ClassDef):
            _instrument(node.body, f"{prefix}{node.name}.")
        else:
            for under in ("body", "orelse", "finalbody", "handlers"):
                _instrument(getattr(node, under, []), prefix)


def _ours(path: object) -> str | None:
    """The name of a file of the project, relative to its root."""
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(path, str | os.PathLike):
        return None
    path = os.path.normpath(os.path.join(os.getcwd(), path)) if not str(path).startswith("/") else str(path)  # noqa: PTH109, PTH118
    name = path.removeprefix(ROOT)
    if name == path or name.startswith((".venv", ".testmap", ".git/", ".mutants")) or "__pycache__" in name:
        return None
    return name


def _on_event(event: str, values: tuple[Any, ...]) -> None:
    if event == "open":
        name = _ours(values[0])
        if name and (frame := _reader()):
            _read(name, frame)
    elif event in ("os.listdir", "os.scandir"):
        name = _ours(values[0] if values[0] is not None else ".")
        if name and _reader():
            touched(f"{name}/")
    elif event == "import":
        if values[0].rpartition(".")[2].startswith(("test_", "conftest")):  # pytest loads these itself
            touched(values[0].replace(".", "/") + ".py")
    elif event == "subprocess.Popen":
        _started(*values)
    elif event in ("os.posix_spawn", "os.exec"):
        _started(values[0], values[1], None, values[2])


def _reader() -> FrameType | None:
    """Who reads; None where a module is loaded or a traceback printed."""
    reader = frame = sys._getframe(2)  # noqa: SLF001 - there is no other way to a caller
    for _ in range(6):
        if frame is None:
            break
        if any(name in frame.f_code.co_filename for name in _LOADS):
            return None
        frame = frame.f_back  # type: ignore[assignment]
    return reader


def _read(name: str, frame: FrameType | None) -> None:
    """A file is read. Which queries of the product are run is seen when they are; what they declare is used at once."""
    if name.startswith("usage_assets/") and name.endswith(".sql"):
        while frame is not None:
            who = frame.f_code.co_filename.removeprefix(ROOT)
            if who.startswith("usage_assets/"):
                touched(f"{name}::declared")
                return
            if who.startswith(("usage_assets_tests/", "website/", "benchmarks/")):
                break
            frame = frame.f_back
    touched(name)


def _started(program: Any, words: Any, cwd: Any, environment: Any) -> None:
    """A process is started. Files that it is given count as read; one that cannot be followed reads everything."""
    words = [os.fsdecode(word) for word in words] if isinstance(words, list | tuple) else str(words).split()
    program = os.path.basename(os.fsdecode(program or words[0]))  # noqa: PTH119
    folder = os.fsdecode(cwd) if cwd is not None else os.getcwd()  # noqa: PTH109
    for word in words:
        path = os.path.join(folder, word)  # noqa: PTH118
        name = _ours(path)
        if name and os.path.isfile(path):  # noqa: PTH113
            touched(name)
    kept = environment is None or any(os.fsdecode(each) == "CHOOSING_RECORD" for each in environment)
    python = program.startswith(("python", "usage-assets", "dagster", "dg"))
    within = (folder + "/").startswith(ROOT)
    if (python and not kept) or (within and program in _FOLLOWS_NOTHING):
        touched(EVERYTHING)


class _DuckDB(MetaPathFinder):
    """Traces the statements of DuckDB as soon as it is imported."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in ("_duckdb", "duckdb"):
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                run(module)
                _trace_statements(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


_METHODS = ("execute", "executemany", "sql", "query", "from_query", "query_df", "get_table_names", "table", "view")


def _trace_statements(module: Any) -> None:
    for owner in (module, module.DuckDBPyConnection):
        for name in _METHODS:
            run = getattr(owner, name, None)
            if run is not None and not hasattr(run, "traced"):
                setattr(owner, name, _traced(run))


_RUN = compile("__run__(*__values__, **__named__)", "<traced>", "eval")


def _traced(run: Any) -> Any:
    """Note the statements that a method is given. DuckDB looks for variables where it is called, so not here."""

    def traced(*values: Any, **named: Any) -> Any:
        for value in (*values, *named.values()):
            if isinstance(value, str):
                _statement(value)
        caller = sys._getframe(1)  # noqa: SLF001
        seen = {**caller.f_locals, "__run__": run, "__values__": values, "__named__": named}
        return eval(_RUN, caller.f_globals, seen)  # noqa: S307 - ours

    traced.traced = True  # type: ignore[attr-defined]
    return traced


def _statement(text: str) -> None:
    if (digest := hash(text)) in _statements:
        return
    _statements.add(digest)
    if not _lines:
        _lines.update(lines_of_files())
    for part in re.split(r";\s*(?:\n|$)", text):
        files = {f"{name}::query" for line in part.splitlines() for name in _lines.get(line.strip(), ())}
        bare = re.sub(r"--[^\n]*", "", part).replace('"', "")
        if made := _BUILDS.match(bare):
            words = {*_WORD.findall(bare[made.end() :])}
            touched(f"made {made[1]} {' '.join(sorted(files | words))}")
        else:
            touched(*files, *(f"word {word}" for word in {*_WORD.findall(bare)}))


def lines_of_files(root: str = ROOT) -> dict[str, list[str]]:
    """A line of SQL -> the files that are recognized by it: by lines that no other has, where there are any."""
    found: dict[str, set[str]] = {}
    paths = sorted(Path(root, "usage_assets").rglob("*.sql"))
    for path in paths:
        for line in map(str.strip, path.read_text().splitlines()):
            if not line.startswith("--") and "{" not in line and "}" not in line and _WORD.search(line):
                found.setdefault(line, set()).add(str(path.relative_to(root)))
    alone = {name for names in found.values() if len(names) == 1 for name in names}
    return {line: names for line, all_names in found.items() if (names := _recognized(all_names, alone))}


def recognized(root: str = ROOT) -> set[str]:
    """The SQL files that ``lines_of_files`` knows."""
    return {name for names in lines_of_files(root).values() for name in names}


def _recognized(names: set[str], alone: set[str]) -> list[str]:
    return sorted(names) if len(names) == 1 else sorted(names - alone)
