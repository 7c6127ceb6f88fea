"""No answer is lost or read in part: whatever is killed, whoever writes at the same time, whatever is damaged."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from usage_assets.core.days import DAY
from usage_assets.core.forgotten import Forgotten
from usage_assets.core.people import People
from usage_assets.fetching.archive import files, store
from usage_assets.fetching.archive.files import File, remove
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, answers_before, answers_with, forget_in
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import PermanentError
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT
from usage_assets_tests.fetching.earlier_archives import as_earlier_release
from usage_assets_tests.fetching.test_archive import COSTS, FIRST, NOON, answered, archive_in, question, write_at
from usage_assets_tests.fixtures import IS_NIGHT

KILLED = 9
WITHOUT_TOTALS = replace(COSTS, must_add_up=None)
LATER = NOON + 300 * DAY
Content = dict[date, list[bytes]]


@pytest.fixture(autouse=True)
def without_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses nothing that the kernel has, so no test waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def page(text: str) -> bytes:
    """A page that says something."""
    return b'{"data": ["%s"], "has_more": false}' % text.encode()


def pages_of(archive: Archive) -> Content:
    """What each day is answered by: its newest answer."""
    found = store.newest(archive.files(question()))
    return {day: list(file.pages()) for file, days in found.items() for day in days}


def paths_in(folder: Path) -> list[Path]:
    """The archive's files."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def killed_after(steps: int, work: Callable[[], object]) -> bool:
    """Do it in a process that is killed after so many lines of what changes files. False if it came to its end."""
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, KILLED)
        return status == KILLED
    left = steps

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code not in (files.put.__code__, files.remove.__code__):
            return None
        left -= event == "line"
        if left < 0:
            os._exit(KILLED)
        return count

    try:
        sys.settrace(count)
        work()
        os._exit(0)
    finally:
        os._exit(1)


def copies_of(folder: Path, within: Path) -> Iterator[tuple[int, Path]]:
    """A number, and a copy of the folder; the next ones until nobody asks: by day each fifth."""
    content = {path.relative_to(folder): path.read_bytes() for path in paths_in(folder)}
    for n in range(0, 10_000, 1 if IS_NIGHT else 5):
        copy = within / str(n)
        for path, each in content.items():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_bytes(each)
        yield n, copy


FORGOTTEN = Forgotten(b"salt", {}).with_stand_ins([("dana@example.com", lambda: "forgotten-1@forgotten.invalid")])


def forget(folder: Path) -> None:
    """Forget Dana."""
    for path in answers_with(folder, FORGOTTEN):
        forget_in(path, FORGOTTEN)


def write(folder: Path) -> None:
    """Write the answers of two more days."""
    write_at(archive_in(folder), LATER, answered(10, 1, page("new")), answered(11, 1, page("new")))


def prune(folder: Path) -> None:
    """Remove what newer answers have replaced."""
    archive_in(folder, max_days=0)._prune(LATER + DAY)


def forget_days(folder: Path) -> None:
    """Remove the first two days."""
    remove(answers_before(folder, FIRST + 2 * DAY))


CHANGES: Mapping[str, tuple[Callable[[Path], object], Content, Sequence[date]]] = {
    "write": (write, {FIRST + n * DAY: [page("new")] for n in (10, 11)}, ()),
    "forget": (forget, {FIRST + 4 * DAY: [page("forgotten-1@forgotten.invalid")]}, ()),
    "prune": (prune, {}, ()),
    "retention": (forget_days, {}, (FIRST, FIRST + DAY)),
}


@pytest.mark.parametrize(("change", "layout"), [*((change, "present") for change in CHANGES), ("write", "earlier")])
def test_wherever_a_process_is_killed_each_day_has_the_answer_of_before_or_after(
    tmp_path: Path, change: str, layout: str
) -> None:
    work, new, gone = CHANGES[change]
    archive = archive_in(tmp_path / "archive")
    for n in range(4):
        write_at(archive, NOON + n * DAY, answered(n, 1, page(f"day {n}")), answered(0, 1, page(f"restated {n}")))
    write_at(archive, NOON + 4 * DAY, answered(4, 1, page("dana@example.com")))
    if layout == "earlier":
        as_earlier_release(archive.folder)
    before = pages_of(archive)
    after = {day: content for day, content in before.items() if day not in gone} | new
    was_killed, states = True, set()
    for steps, copy in copies_of(archive.folder, tmp_path / "copies"):
        if not was_killed:
            break
        was_killed = killed_after(steps, partial(work, copy))
        left = pages_of(archive_in(copy))
        for day in {*before, *after}:
            assert left.get(day) in (before.get(day), after.get(day)), (steps, day)
        states.add(left == after)
        work(copy)
        assert pages_of(archive_in(copy)) == after, steps
        prune(copy)
        assert pages_of(archive_in(copy)) == after, steps
        found = [*files.copies_in(copy)]
        assert len(found) == len({*found}), steps
    assert steps > 20
    assert states == {True, False} or before == after


def test_only_the_archives_files_are_put_together(tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    write_at(archive, NOON, answered(0))
    notes = tmp_path / "openai" / "costs" / "notes.zst"
    notes.write_bytes(pa.Codec("zstd").compress(b"mine", asbytes=True))
    write_at(archive, NOON + DAY, answered(1))
    assert len(paths_in(tmp_path)) == 2
    assert notes.exists()


def test_the_files_of_an_earlier_release_are_read_and_put_together_by_the_next_write(tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    for n in range(50):
        write_at(archive, NOON + n * DAY, answered(n, 2, page(f"day {n}")))
    before = pages_of(archive)
    as_earlier_release(tmp_path)
    assert pages_of(archive) == before
    write(tmp_path)
    assert len(paths_in(tmp_path)) == 1
    assert pages_of(archive) == before | {FIRST + n * DAY: [page("new")] for n in (10, 11)}


def test_writers_at_the_same_time_lose_nothing_and_readers_always_find_everything(tmp_path: Path) -> None:
    """Four processes write, and one of them prunes. Nothing is locked: they may be on different hosts."""
    archive, writers, each = archive_in(tmp_path), 4, 12
    children = []
    for number in range(writers):
        if not (child := os.fork()):
            try:
                own = archive_in(tmp_path)
                for n in range(each):
                    own._bytes_until_pruned = 0 if number == 0 else 1 << 30
                    own.write([answered(number * each + n, 1, page(f"{number} {n}"))])
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    seen: set[File] = set()
    while children:
        now = archive.files(question())
        assert seen <= {*now}
        seen |= {*now}
        assert all(len([*file.pages()]) == 1 for file in now)
        for child in [*children]:  # and no child of another test
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                assert status == 0
                children.remove(child)
    expected = {FIRST + (a * each + n) * DAY: [page(f"{a} {n}")] for a in range(writers) for n in range(each)}
    assert pages_of(archive) == expected
    write(tmp_path)
    prune(tmp_path)
    assert len([*files.copies_in(tmp_path)]) == writers * each


def replay(archive: Archive) -> Replay:
    """The archived answers of the connection."""
    return Replay(archive, Scope(connection="openai", people=People()))


def bucket(day: date) -> bytes:
    """The costs of a day: none."""
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    body = {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": []}
    return msgspec.json.encode({"object": "page", "data": [body], "has_more": False, "next_page": None})


@pytest.fixture
def damaged(tmp_path: Path) -> tuple[Archive, Path]:
    """Three days in one file, and the path of it."""
    archive = archive_in(tmp_path)
    for n in range(3):
        write_at(archive, NOON + n * DAY, answered(n, 1, bucket(FIRST + n * DAY)))
    [path] = paths_in(tmp_path)
    return archive, path


def spoil(path: Path, at: int) -> None:
    """Write other bytes into a file."""
    content = bytearray(path.read_bytes())
    content[at : at + 20] = b"?" * 20
    path.write_bytes(content)
    files._texts_of.cache_clear()


def test_days_in_a_damaged_file_are_named_and_the_others_are_read(damaged: tuple[Archive, Path]) -> None:
    archive, path = damaged
    content = path.read_bytes()
    path.unlink()
    write_at(archive, NOON + 4 * DAY, answered(4, 1, bucket(FIRST + 4 * DAY)))
    path.write_bytes(content)
    spoil(path, len(content) - 60)
    days = [FIRST, FIRST + DAY, FIRST + 2 * DAY, FIRST + 4 * DAY]
    fetched = replay(archive).fetch(WITHOUT_TOTALS, days, partly=True)
    assert sorted(fetched.not_fetched) == days[:3]
    assert all(f"{path}: cannot be read: " in str(error) for error in fetched.not_fetched.values())
    assert "; fetch 2026-11-02 again, or remove the file and all answers in it" in str(fetched.not_fetched[days[1]])
    write_at(archive, NOON + 5 * DAY, answered(1, 1, bucket(FIRST + DAY)))
    assert path.read_bytes() != content
    assert sorted(replay(archive).fetch(WITHOUT_TOTALS, days, partly=True).not_fetched) == [days[0], days[2]]


def test_a_file_whose_list_is_damaged_stands_for_all_its_days_until_newer_answers_do(
    damaged: tuple[Archive, Path],
) -> None:
    """An older answer must not silently take the place of one that cannot be read."""
    archive, path = damaged
    write_at(archive, NOON - DAY, answered(5, 1, bucket(FIRST + 5 * DAY)))
    as_earlier_release(archive.folder)
    write_at(archive, NOON + 4 * DAY, answered(4, 1, bucket(FIRST + 4 * DAY)))
    days = [FIRST + n * DAY for n in (0, 1, 2, 4, 5)]
    assert not replay(archive).days_without_answer(WITHOUT_TOTALS, days)
    [path] = paths_in(archive.folder)
    spoil(path, 20)
    write_at(archive, NOON + 5 * DAY, answered(1, 1, bucket(FIRST + DAY)), answered(7, 1, bucket(FIRST + 7 * DAY)))
    assert path.exists()
    fetched = replay(archive).fetch(COSTS, [*days, FIRST + 7 * DAY], partly=True)
    assert sorted(fetched.not_fetched) == [day for day in days if day != FIRST + DAY]
    assert {str(path) in str(error) for error in fetched.not_fetched.values()} == {True}
    assert replay(archive).days_without_answer(WITHOUT_TOTALS, [FIRST, FIRST + DAY]) == [FIRST]


@pytest.mark.parametrize("bytes_left", [0, 5, 40, 200, -1, -100])
def test_what_is_cut_off_is_no_answer(damaged: tuple[Archive, Path], bytes_left: int) -> None:
    archive, path = damaged
    path.write_bytes(path.read_bytes()[:bytes_left])
    files._texts_of.cache_clear()
    with pytest.raises(PermanentError, match=r"openai costs: .*\.pack\.zst: cannot be read: "):
        replay(archive).fetch(COSTS, [FIRST + 2 * DAY])
    write_at(archive, NOON + 9 * DAY, answered(9))
    with pytest.raises(PermanentError, match=r"openai costs: .*\.pack\.zst: cannot be read: "):
        replay(archive).fetch(COSTS, [FIRST + 2 * DAY])


def test_days_without_an_answer_are_found_for_every_variant_and_for_control_totals(tmp_path: Path) -> None:
    archive, days = archive_in(tmp_path), [FIRST + n * DAY for n in range(4)]
    totals = store.question_of(COSTS.ungrouped, {}, Scope(connection="openai"))
    assert COSTS.must_add_up
    assert replay(archive).days_without_answer(COSTS, days) == days
    write_at(archive, NOON, answered(0, 3), answered(1, 3, about=totals))
    assert replay(archive).days_without_answer(COSTS, days) == [days[0], days[3]]
    assert replay(archive).days_without_answer(COSTS.ungrouped, days) == [days[0]]
    _, codex = EVERY_ENDPOINT["chatgpt/codex_usage"]
    assert len(codex.queries) > 1
    scope = Scope(connection="chatgpt", ids={"workspace_id": "ws"})
    for query in codex.queries:
        assert Replay(archive, scope).days_without_answer(codex, days) == days
        write_at(archive, NOON, answered(0, 1, about=store.question_of(codex, query, scope)))
    assert Replay(archive, scope).days_without_answer(codex, days) == days[1:]
