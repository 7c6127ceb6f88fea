"""JQ that other people wrote: what it may do, and how each attempt at more ends. With jq itself."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from usage_assets_mapping.errors import MappingError
from usage_assets_mapping.evaluating import Evaluator, Limits
from usage_assets_mapping.tokens import refuse_unsafe
from usage_assets_tests.models.days import one_a_line

NOW = 1763820000.5  # 2025-11-22 14:00 UTC
SMALL = Limits(cpu_seconds=1, wall_seconds=20, memory_bytes=256 << 20, answer_bytes=1 << 20)


@pytest.fixture
def jq() -> Iterator[Evaluator]:
    with Evaluator(now=NOW, limits=SMALL) as evaluator:
        yield evaluator


def refusal(jq: Evaluator, expression: str) -> str:
    """The one line that it ends in."""
    with pytest.raises(MappingError) as raised:
        jq.first(expression, "mapping.yml:7")
    said = str(raised.value)
    assert said.startswith("mapping.yml:7: ")
    assert "\n" not in said
    return said.removeprefix("mapping.yml:7: ")


def process_of(jq: Evaluator) -> int:
    assert jq._cage
    assert jq._cage._process
    return jq._cage._process.pid


def test_several_expressions_are_evaluated_as_each_alone(jq: Evaluator) -> None:
    jq.load(['{"a": 1}', '{"a": "x"}', "[]"])
    programs = one_a_line("""
    .a
    .a + 1
    empty
    error
    error({b: .})
    error(null)
    1, error(2)
    def f: .a; f # c
    now
""")
    together = jq.first_of([(each, "x") for each in programs])
    assert together == [jq.first(each, "x") for each in programs]
    assert [each.failure for each in together[1]] == [
        None,
        'string ("x") and number (1) cannot be added',
        'Cannot index array with string ("a")',
    ]
    assert [each.outputs for each in together[6]] == [["1"]] * 3


def test_now_is_when_the_answer_was_stored(jq: Evaluator) -> None:
    jq.load(["null"])
    assert jq.first("now", "x")[0].value == NOW
    assert jq.first('now | strftime("%Y-%m-%d %H:%M")', "x")[0].value == "2025-11-22 14:00"
    assert jq.first('((now | floor) - 86400) | strftime("%Y-%m-%d")', "x")[0].value == "2025-11-21"
    assert jq.first('now | strflocaltime("%H %Z")', "x")[0].value == "14 UTC"


def test_an_expression_cannot_close_what_is_around_it(jq: Evaluator) -> None:
    jq.load(["1"])
    assert refusal(jq, '1) | ("a"').startswith("jq cannot read it: syntax error")
    assert jq.first(". # a comment", "x")[0].value == 1
    assert jq.first("def now: 7; now", "x")[0].value == 7


def test_what_takes_too_much_ends_in_one_line(jq: Evaluator) -> None:
    """And the parent needs no more memory for it, and evaluates the next one."""
    for expression, reason in [
        ("last(range(1e12))", "takes more than 1 s of CPU time: simplify it"),
        ("[range(1e12)]", None),
        ('"a" * 1e9', "takes more than 256 MB of memory, or nests too deep: simplify it"),
        ("def f: 1 + f; f", None),
        ('[limit(100; repeat("a" * 20000))]', "gives more than 1 MB: select less"),
    ]:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        jq.load(["1", "2"])
        said = refusal(jq, expression)
        assert said == reason or (reason is None and ("CPU time" in said or "memory" in said))
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10, expression
        assert [each.value for each in jq.first(". + 1", "x")] == [2, 3], expression


def test_a_process_that_hangs_is_killed() -> None:
    with Evaluator(now=NOW, limits=Limits(wall_seconds=0.5)) as jq:
        jq.load(["1"])
        jq.first(".", "x")
        os.kill(process_of(jq), 19)  # it is stopped, and takes no time at all
        started = time.monotonic()
        assert refusal(jq, ".") == "has not ended after 0.5 s: simplify it"
        assert time.monotonic() - started < 5


NAMES = "debug env get_search_list halt halt_error input input_filename input_line_number inputs modulemeta stderr"


REACH_FURTHER = [
    *one_a_line(r"""
    import "a" as $a; $a
    import "a" as a; a::b
    include "a"; .
    $ENV
    $ENV.PATH
    $ ENV
    def env: 1; $ENV
    "\("\($ENV)")"
    "a" as $b | "x\"\(env | tojson)"
    {a: $ENV}
    {$ENV}
    {(env | tojson): 1}
    {a: env}
    {a: if . then 1, env, 2 else 3 end}
    [..|env]
    .a[env]
    1 as $x | env
    halt_error(1)
    debug("x")
    $__prog_args
    $__prog_name
    @json "\(input)"
    .a?//env
"""),
    *NAMES.split(),
    *(f'"\\({name})"' for name in NAMES.split()),
    *(f"def {name}: 1; {name}" for name in NAMES.split()),
    "$\n# comment\nENV",
    '# "\nenv # "',
]
FIELDS = one_a_line(r"""
    .env
    .a.env
    .a?.input
    ..|.env?
    {env: 1}
    {input: .a, debug: 2}
    "env"
    ."env"
    .["env"]
    . # env
    "a#\(.b)env"
    $__loc__
    .environment
    1 as $input | $input
    "halt \("inputs")"
    {"import": 1}
""")


def test_a_name_that_reaches_further_than_the_answer_is_refused_before_anything_runs(jq: Evaluator) -> None:
    for expression in REACH_FURTHER:
        said = refusal(jq, expression)
        assert said.endswith(" must not be used: an expression sees the answer only"), expression
        assert jq._cage
        assert not jq._cage.is_running


def test_names_of_fields_are_data(jq: Evaluator) -> None:
    jq.load(['{"env": 1, "a": {"env": 2}}'])
    found = jq.first_of([(expression, "x") for expression in FIELDS])
    failed = dict(zip(FIELDS, [outcome.failure for [outcome] in found], strict=True))
    assert failed == dict.fromkeys(FIELDS)


def test_what_can_be_read_in_two_ways_is_refused() -> None:
    for expression in ('"a\\', ". # \\\n| env", "1\r", ".\x00"):
        with pytest.raises(MappingError):
            refuse_unsafe(expression)


def test_an_expression_cannot_leave_what_is_around_it_as_jq_does(jq: Evaluator) -> None:
    for expression in ('error({"__jq": 0})', "{__jq: 0} | error", '"__\\(.)" | .["__jq"]'):
        assert refusal(jq, expression) == "__jq must not be used: jq leaves first and limit with it, and gives nothing"


def child(jq: Evaluator, what: str) -> str:
    """What the system says of the process, once its limits are set."""
    jq.first(".", "x")
    return Path("/proc", str(process_of(jq)), what).read_text()


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="reads /proc")
def test_the_process_has_no_environment_no_files_and_hard_limits(
    jq: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "a secret")
    assert child(jq, "environ") == "LC_CTYPE=C.UTF-8\0TZ=UTC\0"
    limits = {line[:26].strip(): line[26:].split()[:2] for line in child(jq, "limits").splitlines()}
    assert limits["Max address space"] == [str(256 << 20)] * 2
    assert limits["Max file size"] == limits["Max core file size"] == ["0", "0"]
    assert limits["Max open files"] == ["3", "3"]
    process = process_of(jq)
    assert sorted(each.name for each in Path(f"/proc/{process}/fd").iterdir()) == ["0", "1", "2"]
    assert os.getsid(process) == process


def test_even_a_program_that_was_not_read_first_reaches_no_file(jq: Evaluator, tmp_path: Path) -> None:
    """What is refused by name cannot do it either: the process has no files and no environment."""
    (tmp_path / "secret.json").write_text('{"a": 1}')
    program = f'import "secret" as $x {{search: "{tmp_path}"}}; $x'
    code = f"import jq; print(jq.compile({program!r}).input_value(1).first())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stdout == b"[{'a': 1}]\n"
    jq.load(["1"])
    jq.first(".", "x")
    assert "refused" in jq._ask({"programs": [program], "only_first": True}, "x")
    [[[seen]]] = map(json.loads, jq._ask({"programs": ["[env, $ENV]"], "only_first": True}, "x")["outcomes"])
    assert json.loads(seen) == [{"LC_CTYPE": "C.UTF-8", "TZ": "UTC"}] * 2


def test_a_value_that_python_cannot_read_is_refused(jq: Evaluator) -> None:
    jq.load(["1"])
    [wide] = jq.first('[range(999) | ["[[[\\"[["]]', "x")
    assert wide.value == [['[[["[[']] * 999
    for program in ("reduce range(101) as $i (1; [.])", "reduce range(9000) as $i (1; [.])", '"1" * 5000 | tonumber'):
        [found] = jq.first(program, "x")
        with pytest.raises(MappingError, match="the value nests too deep, or has a number that is too long"):
            assert found.value is None


def test_the_parent_never_imports_jq() -> None:
    code = "import sys; from usage_assets_mapping.evaluating import Evaluator\n"
    code += "with Evaluator(now=0) as jq: jq.load(['1']); print(jq.first('.', 'x')[0].value, 'jq' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 False\n"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jq", None)
    with pytest.raises(MappingError, match=r"^the package jq is missing: pip install usage-assets-mapping$"):
        Evaluator(now=0).__enter__()
