"""What a day of the archive answers: cut out of several days and pages, added up exactly, refused by name."""

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from usage_assets.config.settings import Connection
from usage_assets.core.days import Window
from usage_assets.core.people import People
from usage_assets.features.mapping.answering import Answers, answers_for
from usage_assets.features.mapping.questions import answer_to
from usage_assets.features.mapping.reading import Resource, read
from usage_assets.fetching.archive.files import RequestRecord
from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, ArchivedResponse, packed, question_of
from usage_assets.fetching.scope import Scope
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.conftest import NOW
from usage_assets_tests.features.mapping.test_questions import connection as connection_of

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


def bucket(day: date, *results: Mapping[str, object]) -> dict[str, object]:
    """A day of Anthropic's reports."""
    return {
        "starting_at": f"{day}T00:00:00Z",
        "ending_at": f"{day.replace(day=day.day + 1)}T00:00:00Z",
        "results": results,
    }


def page(*data: object, more: bool = False) -> dict[str, object]:
    return {"data": data, "has_more": more, "next_page": "token" if more else None}


def use(workspace: str | None, model: str, output: int, **others: object) -> dict[str, object]:
    """A result of the messages report, as it is documented."""
    return {
        "uncached_input_tokens": 1,
        "cache_creation": {"ephemeral_1h_input_tokens": 2, "ephemeral_5m_input_tokens": output},
        "cache_read_input_tokens": 3,
        "output_tokens": output,
        "server_tool_use": {"web_search_requests": 1},
        "api_key_id": "key",
        "account_id": None,
        "workspace_id": workspace,
        "model": model,
        "service_tier": "standard",
        "context_window": None,
        "inference_geo": None,
        **others,
    }


def asked(folder: Path, replay: Replay, connection: Connection, kind: str, **params: object) -> Answers:
    """What the archive answers to a question for both days."""
    answer = answer_to(resource(folder, kind, {name.replace("__", "[]"): v for name, v in params.items()}), connection)
    assert answer
    return answers_for(replay, answer, [DAY, NEXT])


def results(answers: Answers, day: date = DAY) -> list[dict[str, Any]]:
    body = json.loads(answers.found[day].body)
    assert (body["has_more"], body["next_page"], len(body["data"])) == (False, None, 1)
    found: list[dict[str, Any]] = body["data"][0]["results"]
    return found


MESSAGES = "/v1/organizations/usage_report/messages"


def test_a_day_that_was_not_grouped_so_is_refused_by_name(tmp_path: Path) -> None:
    endpoint = endpoint_of("anthropic", "usage_messages")
    pages = [page(bucket(DAY, use("w1", "opus", 5)), bucket(NEXT, use("w1", "opus", 5)))]
    replay = archived(tmp_path, "anthropic", endpoint, pages, People(), ["workspace_id"])
    of_model: list[dict[str, object]] = [{"group_by__": "model"}, {"models__": ["opus"]}]
    for params in of_model:
        found = asked(tmp_path, replay, connection_of("anthropic"), MESSAGES, **params)
        assert (found.found, {*found.refused}) == ({}, {DAY, NEXT}), params
        assert found.refused[DAY] == "the provider did not group 2026-11-10 to 2026-11-11 by model"
    assert results(asked(tmp_path, replay, connection_of("anthropic"), MESSAGES, group_by__="workspace_id"))
