"""A push of many entities is made in pieces, so that its memory does not grow with the organization."""

import pytest

from usage_assets.features.port import ledger as port_ledger
from usage_assets.features.port.ledger import PortLedger
from usage_assets.models.entities import ENTITIES
from usage_assets.warehouse.slices import Slice
from usage_assets_tests.end_to_end.conftest import PUSHED_DAYS, Project
from usage_assets_tests.fixtures import execute

DAYS = PUSHED_DAYS[:2]
OF_COSTS = [each for each in ENTITIES if each.name in ("claude_cost_record", "claude_model_usage")]


def test_pieces_are_small_and_a_new_database_reads_port_back_once_however_many_there_are(
    pushed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    for most in (1_000, 1):
        monkeypatch.setattr(port_ledger, "MOST_ENTITIES", most)
        execute(pushed.warehouse, "delete from ledger.port_pushes; delete from ledger.port_entities")
        before = len(pushed.port_requests())
        assert pushed.push_of("anthropic", DAYS[:1]).success
        asked = pushed.port_requests()[before:]
        searches.append([request["path"] for request in asked if request["path"].endswith("/entities/search")])
        assert pushed.in_port() == pushed.entities()
    assert sorted(searches[0]) == sorted(searches[1]) != []
    # Together they are the whole.
    whole = PortLedger(pushed.warehouse, "account", Slice("anthropic", DAYS[0], DAYS[-1]), OF_COSTS)
    pieces = [(piece, piece.read()[0]) for piece in whole.pieces()]
    assert {(len(piece.target.days), len({entity.blueprint for entity in found})) for piece, found in pieces} == {
        (1, 1)
    }
    assert len(pieces) == len(DAYS) * len(OF_COSTS)
    every = sorted((entity.identifier, entity.content_hash()) for _, found in pieces for entity in found)
    assert every == sorted((entity.identifier, entity.content_hash()) for entity in whole.read()[0])
    requests = pushed.port_requests()
    assert pushed.push_of("anthropic", DAYS).success
    assert pushed.port_requests() == requests
