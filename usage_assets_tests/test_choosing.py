"""What ``make test-changed`` runs: which units a change of a file changes, and what a process is seen to use."""

import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from itertools import chain
from pathlib import Path

import pytest

from choosing import deadline, long, tracing
from choosing.__main__ import TWENTIETH, _rotated, _turned
from choosing.map import FILE, Entry, is_test_module, read, selected, used, used_by_test, written
from choosing.units import files, units
from mutants.sql import faults

ROOT = Path(__file__).parents[1]
PRICES = """
from product.rates import RATE
LIMIT = 3
class Bill:
    def total(self): return LIMIT
def price(n): return n * RATE
def other(): return 1
"""
TREE = {
    "product/prices.py": PRICES,
    "product/rates.py": "HALF = 2\nRATE = HALF * 2\n",
    "product/a.sql": "-- reads: b\nx",
}


def changed(**new: str) -> set[str]:
    """The units that differ when files are written anew; ``prices`` is product/prices.py."""
    before = units({name: text.encode() for name, text in TREE.items()})
    paths = {f"product/{name.replace('_', '.')}": text for name, text in new.items()}
    after = units({name: text.encode() for name, text in {**TREE, **paths}.items()})
    return {unit for unit in before if before[unit] != after.get(unit) and "::" in unit}


def test_a_function_is_a_unit_and_comments_are_none() -> None:
    assert changed(prices_py=PRICES.replace("n * RATE", "n + RATE")) == {"product/prices.py::price"}
    assert changed(prices_py=PRICES.replace("return LIMIT", "return 4")) == {"product/prices.py::Bill.total"}
    said = PRICES.replace("return 1", "\n    'It counts.'\n    return 1  # always")
    assert changed(prices_py=said + "def new(): return price(2)\n") == set()


def test_a_value_changes_the_functions_that_name_it_also_through_imports() -> None:
    assert changed(prices_py=PRICES.replace("LIMIT = 3", "LIMIT = 4")) == {"product/prices.py::Bill.total"}
    assert changed(rates_py="HALF = 3\nRATE = HALF * 2\n") == {"product/prices.py::price"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def price", "@cached\ndef price"),
        ("class Bill:", "class Bill(Base):"),
        ("class Bill:", "class Bill:\n    paid = False"),
        ("LIMIT = 3", "LIMIT = 3\nregister(1)"),
        ("def other", "def print"),
    ],
)
def test_what_runs_at_import_concerns_all_that_import(before: str, after: str) -> None:
    assert "product/prices.py::" in changed(prices_py=PRICES.replace(before, after))


def test_imports_are_a_unit_for_those_that_look_at_them() -> None:
    assert changed(prices_py="import json\n" + PRICES) == {"product/prices.py::imports"}


def test_what_sql_declares_is_read_at_import() -> None:
    assert changed(a_sql="-- reads: c\nx") == {"product/a.sql::declared"}
    assert changed(a_sql="-- reads: b\ny") == {"product/a.sql::query"}


PRODUCT = """
import duckdb
from pathlib import Path
SQL = Path(__file__).with_name("sql")
def used():
    database = duckdb.connect()
    for name in ("shown", "hidden"):
        database.execute((SQL / f"{name}.sql").read_text())
    return database.execute("select * from shown").fetchall()
def unused(): ...
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a process is seen to do that imports a product, asks a query, reads a file, and is killed."""
    root = tmp_path / "root"
    (root / "usage_assets/sql").mkdir(parents=True)
    (root / "usage_assets/product.py").write_text(PRODUCT)
    (root / "usage_assets/sql/shown.sql").write_text("create view shown as\nselect 40 + 2 as answer")
    (root / "usage_assets/sql/hidden.sql").write_text("create view hidden as\nselect 41 + 1 as unread")
    (root / "facts.toml").touch()
    (tmp_path / "traced").mkdir()
    (tmp_path / "traced/sitecustomize.py").write_text(tracing.PTH)
    code = (
        "import os, signal; from usage_assets.product import used; used(); open('facts.toml'); os.listdir('.')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    traced = {"CHOOSING_ROOT": str(root), "CHOOSING_RECORD": str(tmp_path / "record")}
    traced |= {"CHOOSING_TRACER": tracing.__file__, "PYTHONPATH": f"{tmp_path / 'traced'}:{root}"}
    killed = subprocess.run([sys.executable, "-c", code], cwd=root, env={**os.environ, **traced})
    assert killed.returncode == -9
    shutil.rmtree(root / ".testmap")
    return (tmp_path / "record").read_text().splitlines()


def test_a_killed_process_has_said_what_it_used(record: list[str]) -> None:
    """A view counts where a statement names it, not where it is made."""
    sql = {"usage_assets/sql/shown.sql", "usage_assets/sql/hidden.sql"}
    everything = dict.fromkeys(record, "digest") | {f"{name}::query": "digest" for name in sql} | {"m": "digest"}
    found = used(record, everything, "m", recognized=sql, imports=False)
    assert {"usage_assets/product.py::", "usage_assets/product.py::used", "facts.toml"} <= found.keys()
    assert "usage_assets/sql/shown.sql::query" in found
    assert not {"usage_assets/product.py::unused", "usage_assets/sql/hidden.sql::query"} & found.keys()


def test_each_test_of_a_module_has_its_own() -> None:
    lines = [
        "a.py::",
        "test m::one",
        "made v a.sql::query",
        "took 0.5 m::one",
        "test m::two",
        "word v",
        "took 1 m::two",
    ]
    found = used_by_test(lines, recognized=())
    assert found == {"m::one": (0.5, set()), "m::two": (1, {"a.sql::query"})}


MODULE, OTHER = "usage_assets_tests/test_a.py", "usage_assets_tests/test_b.py"
KNOWN = {
    MODULE: Entry(1.5, {MODULE: "01", "a.py::f": "02", "x/": "03"}),
    OTHER: Entry(2, {OTHER: "04", "a.py::f": "02"}),
}


def test_the_map_keeps_what_it_is_told_and_modules_keep_their_numbers() -> None:
    text = written(KNOWN)
    assert read(text) == KNOWN
    more = {"usage_assets_tests/test_0.py": Entry(1, {"a.py::f": "05"}), **KNOWN}
    assert read(written(more, text)) == more
    assert {line for line in text.splitlines() if line[0].isdigit()} <= {*written(more, text).splitlines()}
    assert read("<<<<<<< ours\n" + text) == {}


def test_a_module_runs_where_a_unit_differs_or_is_gone_or_it_is_unknown() -> None:
    now = {MODULE: "01", OTHER: "04", "a.py::f": "02", "x/": "03"}
    assert selected(KNOWN, now) == {}
    assert selected(KNOWN, now | {"x/": "04"}) == {MODULE: "x/"}
    assert selected(KNOWN, {MODULE: "01", OTHER: "04", "x/": "03"}).keys() == {MODULE, OTHER}
    assert selected({}, now).keys() == {MODULE, OTHER}


def test_the_map_knows_every_test_module_and_every_file_of_the_product() -> None:
    """Else it says which: make test-changed runs what it does not know."""
    known = read(FILE.read_text())
    named = {unit.partition("::")[0] for entry in known.values() for unit in entry.units}
    tree = {name for name in files(ROOT) if name.startswith("usage_assets") and name.endswith((".py", ".sql"))}
    if modules := {*filter(is_test_module, tree)} - known.keys():
        pytest.skip(f"choosing/map.txt lacks {len(modules)} test modules, make test-changed adds them: {min(modules)}")
    product = {name for name in tree if name.startswith("usage_assets/")}
    if missing := sorted(product - named):
        pytest.skip(f"no test uses {', '.join(missing)}, by choosing/map.txt: make test-map")


def test_each_slow_module_has_its_turn_in_twenty_days() -> None:
    modules = [f"{n}" for n in range(47)]
    days = [_rotated(modules, date(2026, 11, 24) + timedelta(days=n)) for n in range(TWENTIETH)]
    assert sorted(chain.from_iterable(days)) == sorted(modules)


def test_each_day_another_module_is_first() -> None:
    modules = ["a", "b", "c"]
    days = [_turned(modules, date(2026, 11, 24) + timedelta(days=n)) for n in range(3)]
    assert sorted(days) == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]]
    assert _turned([], date(2026, 11, 24)) == []


@pytest.mark.parametrize(("until", "outcome"), [("0", "1 skipped"), ("inf", "1 passed")])
def test_no_test_begins_after_the_deadline(tmp_path: Path, until: str, outcome: str) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(): pass")
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "choosing.deadline", "-n", "1", str(tmp_path)]
    environment = os.environ | {deadline.UNTIL: until}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert outcome in done.stdout
    assert ("make nightly runs" in done.stdout) == (until == "0")


def test_a_night_has_an_hour_and_a_week_has_everything() -> None:
    nights = {night: sum(job.minutes for job in long.JOBS if job.night == night) for night in range(1, long.NIGHTS + 1)}
    assert all(0 < minutes <= 60 for night, minutes in nights.items() if night < long.NIGHTS)


def test_long_jobs_all_run_and_end_with_a_table(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        long._run([long.Job("false", 1, 1), long.Job("true", 1, 1)])
    assert ended.value.code
    assert "| `false` | failed (1) | 0 |\n| `true` | passed | 0 |\n" in capfd.readouterr().out


def test_faults_of_sql_still_parse() -> None:
    query = "select sum(a + b), coalesce(c, 0)\nfrom t\nleft join u using (d, e)\n"
    query += "where f >= 1 -- f > 1\n  and g = 'a = b'\n"
    found = {(before.strip(), after) for _, before, after, _ in faults(query)}
    assert found == {
        (">=", ">"), ("=", "<>"), ("+", "-"), ("sum", "max"), ("left join", "join"),
        ("f >= 1", "true"), ("and g = 'a = b'", ""), ("d, e", "d"), ("coalesce(c, 0)", "c"),
    }  # fmt: skip
    assert not [*faults("select {")]
