"""A push of many entities is made in pieces, so that its memory does not grow with the organization."""

import pytest

from usage_assets.features.port import ledger as port_ledger
from usage_assets.features.port.ledger import PortLedger
from usage_assets.models.entities import ENTITIES
from usage_assets.warehouse.slices import Slice
from usage_assets_tests.end_to_end.conftest import PUSHED_ASSETS, PUSHED_DAYS, Project


def test_each_piece_is_small_and_together_they_are_the_whole(
    pushed: Project, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    for most in (1, 30, 1_000):
        with subtests.test(most=most):
            monkeypatch.setattr(port_ledger, "MOST_ENTITIES", most)
            target = Slice("anthropic", PUSHED_DAYS[0], PUSHED_DAYS[-1])
            whole = PortLedger(pushed.warehouse, "account", target, ENTITIES)
            pieces = [(piece, piece.read()[0]) for piece, _ in whole.differences()]
            every = sorted(whole.read()[0], key=lambda entity: (entity.blueprint, entity.identifier))
            assert sorted((e for _, found in pieces for e in found), key=lambda e: (e.blueprint, e.identifier)) == every
            for piece, found in pieces:
                is_one = len(piece.target.days) == 1 and len({entity.blueprint for entity in found}) <= 1
                assert len(found) <= most or is_one
            assert len(pieces) == {1: len(PUSHED_DAYS) * len(ENTITIES), 1_000: 1}.get(most, len(pieces))


def test_port_equals_the_tables_after_a_push_in_pieces(pushed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_ledger, "MOST_ENTITIES", 1)
    restated = {"provider": "anthropic", "days": [str(PUSHED_DAYS[0]), str(PUSHED_DAYS[2])], "change": "scale"}
    assert pushed.sandbox.control("POST", "restate", restated)
    assert pushed.fetch("anthropic", PUSHED_DAYS, *PUSHED_ASSETS).success
    assert pushed.push_of("anthropic", PUSHED_DAYS).success
    assert pushed.in_port() == pushed.entities()
    asked = len(pushed.port_requests())
    assert pushed.push_of("anthropic", PUSHED_DAYS).success
    assert len(pushed.port_requests()) == asked


def test_a_new_database_reads_port_back_once_however_many_pieces_there_are(
    pushed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[int] = []
    for most in (1_000, 1):
        monkeypatch.setattr(port_ledger, "MOST_ENTITIES", most)
        with pushed.warehouse.transaction() as database:
            database.execute("delete from ledger.port_pushes")
            database.execute("delete from ledger.port_entities")
        before = len(pushed.port_requests())
        assert pushed.push_of("anthropic", PUSHED_DAYS).success
        asked = pushed.port_requests()[before:]
        searches.append(sum(request["path"].endswith("/entities/search") for request in asked))
        assert pushed.in_port() == pushed.entities()
    assert searches[0] == searches[1] > 0
