"""The archive: answers are whole or not there, the newest of a day is never removed, and no run is stopped by it.

What a kill or another process can do to its files: test_archive_files.py.
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from usage_assets.core.days import DAY
from usage_assets.core.people import People
from usage_assets.fetching.archive.files import ArchiveError, Question, RequestRecord
from usage_assets.fetching.archive.store import Archive, ArchivedResponse, newest, packed, question_of
from usage_assets.fetching.scope import Scope
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT

_, COSTS = EVERY_ENDPOINT["openai/costs"]
FIRST = date(2026, 11, 1)
BODY = b'{"data": [\n], "has_more": false, "next_page": null}'
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def question(**filters: list[str]) -> Question:
    """What is asked of the costs."""
    return question_of(COSTS, {}, Scope(connection="openai", filters=filters))


def answered(first: int = 0, days: int = 1, *contents: bytes, about: Question | None = None) -> ArchivedResponse:
    """The answer to a window that begins so many days after the first."""
    asked = RequestRecord(
        question=about or question(),
        params=[("limit", "180")],
        grouped_by=("project_id",),
        first=FIRST + first * DAY,
        last=FIRST + (first + days - 1) * DAY,
        people="ids",
        fetched_at=NOON,
    )
    return ArchivedResponse(asked, [packed(COSTS, People(), content) for content in contents or (BODY,)])


def archive_in(folder: Path, **limits: int) -> Archive:
    """An archive."""
    return Archive(folder, **{"max_megabytes": 100, "max_days": 400} | limits)


def write_at(archive: Archive, moment: datetime, *answers: ArchivedResponse) -> None:
    """Write at some time, and look at the limits."""
    archive._bytes_until_pruned = 0
    with time_machine.travel(moment, tick=False):
        archive.write(answers)


def starts(archive: Archive) -> list[tuple[int, int]]:
    """The archived windows as first and last day after the first, the oldest answer first."""
    files = sorted(archive.files(question()), key=lambda file: file.stored_at)
    return [((file.window.first - FIRST).days, (file.window.last - FIRST).days) for file in files]


def test_answers_to_another_question_do_not_stand_for_each_other(tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    ungrouped = question_of(COSTS.ungrouped, {}, Scope(connection="openai"))
    headers = {"OpenAI-Organization": "org-2"}
    others = question_of(COSTS, {}, Scope(connection="openai", headers=headers))
    filtered = question(project_ids=["proj_a"])
    about = [question(), ungrouped, others, filtered, question(project_ids=["proj_b"])]
    write_at(archive, NOON, *(answered(about=each) for each in about))
    assert len({archive.files(each)[0].place for each in about}) == len(about)
    assert [len(archive.files(each)) for each in about] == [1] * len(about)
    assert filtered.filters == {"project_ids[]": ["proj_a"]}


def test_a_day_is_answered_by_the_newest_file_that_covers_it(tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    for hour, (first, count) in enumerate([(0, 10), (5, 3), (6, 1)]):
        write_at(archive, NOON + timedelta(hours=hour), answered(first, count))
    days = [FIRST + n * DAY for n in range(4, 12)]
    chosen = {file.stored_at.hour: own for file, own in newest(archive.files(question()), days).items()}
    assert chosen == {12: [days[0], days[4], days[5]], 13: [days[1], days[3]], 14: [days[2]]}


def test_an_answer_is_the_newest_one_after_the_clock_was_set_back(tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    write_at(archive, NOON, answered(0, 3, b'{"amount": 1}'))
    write_at(archive, NOON - DAY, answered(0, 3, b'{"amount": 2}'))
    ((file, _),) = newest(archive.files(question())).items()
    assert list(file.pages()) == [b'{"amount": 2}']


def test_pages_that_were_exchanged_are_noticed(tmp_path: Path) -> None:
    one, other = answered(0, 1, b'{"amount": 1.25}'), answered(0, 1, b'{"amount": 1.52}')
    archive = archive_in(tmp_path)
    mixed = type(one.bodies[0])(one.bodies[0].sum, other.bodies[0].packed)
    write_at(archive, NOON, ArchivedResponse(one.asked, [mixed]))
    (file,) = archive.files(question())
    with pytest.raises(ArchiveError, match="a page is not as it was written"):
        list(file.pages())


def test_what_newer_answers_have_replaced_goes_when_it_is_old(tmp_path: Path) -> None:
    archive = archive_in(tmp_path, max_days=10)
    write_at(archive, NOON, answered(0, 10))
    write_at(archive, NOON + 1 * DAY, answered(0, 5))
    write_at(archive, NOON + 2 * DAY, answered(0, 5))
    write_at(archive, NOON + 20 * DAY, answered(20, 1))
    assert starts(archive) == [(0, 9), (0, 4), (20, 20)]  # the first is old, too, but the only one of five days


def test_too_much_goes_oldest_first_and_the_loss_of_days_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    archive = archive_in(tmp_path)
    for n, (first, days) in enumerate([(0, 2), (0, 2), (4, 1)]):
        write_at(archive, NOON + n * DAY, answered(first, days))
    archive._max_bytes = sum(file.size for file in archive.files(question())) + 9  # sizes differ by some bytes
    write_at(archive, NOON + 3 * DAY, answered(6, 1))
    assert starts(archive) == [(0, 1), (4, 4), (6, 6)]
    assert not caplog.records
    write_at(archive, NOON + 4 * DAY, answered(8, 1))
    assert starts(archive) == [(4, 4), (6, 6), (8, 8)]
    (record,) = caplog.records
    assert "the only answers for days from 2026-11-01 to 2026-11-02 are removed; raise USAGE_ARCHIVE_MAX_MB" in (
        record.getMessage()
    )


def test_a_full_disk_leaves_no_part_of_an_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(handle: int) -> None:
        raise OSError(28, "No space left on device")

    archive = archive_in(tmp_path)
    archive.write([answered()])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.zst")}
    monkeypatch.setattr("usage_assets.fetching.archive.files.os.fsync", fill)
    archive.write([answered(1), answered(2)])
    [record] = caplog.records
    assert record.getMessage().startswith("The archive is not complete, but the days of openai costs are stored: ")
    assert "No space left on device (USAGE_ARCHIVE)" in record.getMessage()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_a_killed_run_left_unfinished_is_no_answer_and_goes(tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    write_at(archive, NOON, answered())
    (file,) = archive.files(question())
    unfinished = file.path.with_name(f"{file.path.name}.part")
    unfinished.write_bytes(b"")
    assert archive.files(question()) == [file]
    write_at(archive, datetime.now(UTC) + 2 * DAY, answered(1))
    assert not unfinished.exists()
