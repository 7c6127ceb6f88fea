"""A large slice is verified and hashed in parts, which shows nowhere; packed rows are stored as others are."""

import pytest

from usage_assets.core.schema import to_arrow
from usage_assets.warehouse import slices
from usage_assets.warehouse import write as writing
from usage_assets.warehouse.database import Warehouse
from usage_assets.warehouse.write import computed_at_once
from usage_assets_tests.warehouse.samples import (
    FULL,
    SAMPLE,
    Sample,
    answer,
    days,
    ledger,
    sample,
    stored,
    write,
)
from usage_assets_tests.warehouse.test_database import DOUBLED, doubled

ROWS = [sample(number, f"m{n}", requests=n) for number in (0, 1, 2, 4) for n in range(3 + number)]


def test_parts_of_a_slice_have_the_versions_of_the_whole(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(warehouse, ROWS, days(0, 5), run_id="whole")
    for number, rows_at_once in enumerate((1, 4), 2):
        monkeypatch.setattr(slices, "ROWS_AT_ONCE", rows_at_once)
        parts = write(warehouse, ROWS, days(0, 5), run_id="parts")
        assert [version.row_count for version in parts] == [3, 4, 5, 0, 7, 0], rows_at_once
        assert [(v.content_hash, v.totals) for v in parts] == [(v.content_hash, v.totals) for v in whole], rows_at_once
        assert not any(version.changed for version in parts), rows_at_once
        assert len(ledger(warehouse)) == 6 * number, rows_at_once


DAYS_OF_PARTS = {1: [1] * 6, 12: [4, 2], 19: [6]}
"""Rows that are computed at once -> how many days each part has."""


def test_a_query_over_many_rows_is_computed_in_parts_which_shows_nowhere(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(warehouse, ROWS, days(0, 5))
    whole = warehouse.replace(DOUBLED, doubled(), days(0, 5), "whole")
    for rows_at_once, days_of_parts in DAYS_OF_PARTS.items():
        monkeypatch.setattr(writing, "ROWS_COMPUTED_AT_ONCE", rows_at_once)
        with warehouse.transaction(keep=False) as connection:
            parts = computed_at_once(connection, doubled(), days(0, 5))
        assert [len(part.days) for part in parts] == days_of_parts, rows_at_once
        assert [day for part in parts for day in part.days] == days(0, 5).days
        again = warehouse.replace(DOUBLED, doubled(), days(0, 5), "parts")
        assert [(v.content_hash, v.totals) for v in again] == [(v.content_hash, v.totals) for v in whole], rows_at_once
        assert not any(version.changed for version in again), rows_at_once


def test_packed_rows_are_stored_as_others(warehouse: Warehouse) -> None:
    warehouse.replace(SAMPLE, answer(to_arrow(Sample, [FULL], packed=True)), days(0), "run")
    assert stored(warehouse) == to_arrow(Sample, [FULL]).to_pylist()
    assert not write(warehouse, [FULL])[0].changed
