"""A day of the archive is answered under the policy for people."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from usage_assets.config.settings import Connection
from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.fetching.archive.files import RequestRecord
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, ArchivedResponse, packed, question_of
from usage_assets.fetching.scope import Scope
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets_mapping.answering import Answers, answers_for
from usage_assets_mapping.questions import answer_to
from usage_assets_mapping.reading import Resource, read
from usage_assets_tests.connections import connection as connection_of
from usage_assets_tests.fixtures import NOW

DAY, NEXT = date(2026, 11, 10), date(2026, 11, 11)
DAYS = Window(DAY, NEXT)


def resource(folder: Path, kind: str, params: Mapping[str, object]) -> Resource:
    """A resource that asks for something."""
    asked = "\n".join(f"        {name}: {json.dumps(value)}" for name, value in params.items()) or "        {}"
    (folder / "mapping.yml").write_text(
        f"resources:\n  - kind: {kind}\n    selector:\n      query_params:\n{asked}\n    port:\n      entity:\n"
        "        mappings:\n          identifier: .id\n          blueprint: '\"b\"'\n"
    )
    [found] = read(folder / "mapping.yml").resources
    return found


def endpoint_of(provider: str, name: str) -> Endpoint:
    return next(each for each in PROVIDERS[provider].endpoints if each.name == name)


def archived(
    folder: Path,
    provider: str,
    endpoint: Endpoint,
    pages: Sequence[object],
    people: People,
    grouped_by: Sequence[str] = (),
    window: Window = DAYS,
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


def page(*data: object, more: bool = False) -> dict[str, object]:
    return {"data": data, "has_more": more, "next_page": "token" if more else None}


def asked(folder: Path, replay: Replay, connection: Connection, kind: str, **params: object) -> Answers:
    """What the archive answers to a question for both days."""
    answer = answer_to(resource(folder, kind, {name.replace("__", "[]"): v for name, v in params.items()}), connection)
    assert answer
    return answers_for(replay, answer, [DAY, NEXT])


def test_the_policy_for_people_comes_before_jq(tmp_path: Path) -> None:
    record = {
        "date": f"{DAY}T00:00:00Z",
        "actor": {"type": "user_actor", "email_address": "ann@example.com"},
        "organization_id": "org",
        "customer_type": "api",
        "terminal_type": "vscode",
        "core_metrics": {"num_sessions": 1},
        "tool_actions": {},
        "model_breakdown": [],
        "note": "by ann@example.com",
    }
    endpoint = endpoint_of("anthropic", "claude_code")
    replay = archived(
        tmp_path, "anthropic", endpoint, [page(record, {**record, "date": f"{NEXT}T00:00:00Z"})], People("names")
    )
    hashing = Replay(replay._archive, Scope(connection="anthropic", people=People("hash", "key")))
    for each, is_named in ((replay, True), (hashing, False)):
        found = asked(tmp_path, each, connection_of("anthropic"), "/v1/organizations/usage_report/claude_code")
        assert ("ann@example.com" in found.found[DAY].body) is is_named
        assert len(json.loads(found.found[DAY].body)["data"]) == 1
