"""A day of the archive is answered under the policy for people."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.fetching.archive.files import RequestRecord
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, ArchivedResponse, packed, question_of
from usage_assets.fetching.scope import Scope
from usage_assets.providers.endpoint import Endpoint
from usage_assets_mapping.answering import answers_for
from usage_assets_mapping.questions import answer_to
from usage_assets_mapping.reading import Resource, read
from usage_assets_tests.connections import connection
from usage_assets_tests.fetching.conftest import ENDPOINTS
from usage_assets_tests.fixtures import NOW

DAY, NEXT = date(2026, 11, 10), date(2026, 11, 11)


def resource(folder: Path, kind: str, params: Mapping[str, object]) -> Resource:
    """A resource that asks for something."""
    asked = "\n".join(f"        {name}: {json.dumps(value)}" for name, value in params.items()) or "        {}"
    (folder / "mapping.yml").write_text(
        f"resources:\n  - kind: {kind}\n    selector:\n      query_params:\n{asked}\n    port:\n      entity:\n"
        "        mappings:\n          identifier: .id\n          blueprint: '\"b\"'\n"
    )
    [found] = read(folder / "mapping.yml").resources
    return found


def archived(
    folder: Path,
    provider: str,
    endpoint: Endpoint,
    pages: Sequence[object],
    people: People,
    window: Window,
    grouped_by: Sequence[str] = (),
) -> Replay:
    """A connection's archive with one answer, on these pages."""
    scope = Scope(connection=provider, people=people)
    archive = Archive(folder / "raw", max_megabytes=10, max_days=400)
    record = RequestRecord(
        question=question_of(endpoint, {}, scope),
        params=[],
        grouped_by=tuple(grouped_by or endpoint.group_by),
        first=window.first,
        last=window.last,
        people=people.policy,
        fetched_at=NOW,
    )
    contents = [page if isinstance(page, bytes) else json.dumps(page).encode() for page in pages]
    archive.write([ArchivedResponse(record, [packed(endpoint, people, content) for content in contents])])
    return Replay(archive, scope)


def test_the_policy_for_people_comes_before_jq(tmp_path: Path) -> None:
    record = {
        "actor": {"type": "user_actor", "email_address": "ann@example.com"},
        "organization_id": "org",
        "customer_type": "api",
        "terminal_type": "vscode",
        "core_metrics": {"num_sessions": 1},
        "tool_actions": {},
        "model_breakdown": [],
        "note": "by ann@example.com",
    }
    page = {"data": [{"date": f"{day}T00:00:00Z", **record} for day in (DAY, NEXT)], "has_more": False}
    provider, endpoint = ENDPOINTS["anthropic/claude_code"]
    replay = archived(tmp_path, provider.name, endpoint, [page], People("names"), Window(DAY, NEXT))
    hashing = Replay(replay._archive, Scope(connection=provider.name, people=People("hash", "key")))
    asked = resource(tmp_path, "/v1/organizations/usage_report/claude_code", {})
    answer = answer_to(asked, connection(provider.name))
    assert answer
    for each, is_named in ((replay, True), (hashing, False)):
        found = answers_for(each, answer, [DAY, NEXT]).found
        assert ("ann@example.com" in found[DAY].body) is is_named
        assert len(json.loads(found[DAY].body)["data"]) == 1
