"""A small drill of PostgreSQL: no process aborts, and the lake is the one that was left alone."""

import random

import pytest

from usage_assets_lake_tests.postgres_drill import drilled

pytestmark = pytest.mark.timeout(900)

PLAYED = (("write", "terminate"), ("write", "fail_over"), ("look", "terminate"))


def test_whatever_happens_to_the_server_nothing_is_lost() -> None:
    with drilled(random.Random(7), operations=["write", "look"]) as drill:
        for number, (operation, fault) in enumerate(PLAYED, 10):
            drill.play(number, operation, fault)
    assert drill.wrong == []
    assert drill.found["refused in one line"]
