"""What a resource asks, and which stored days answer it: the declared endpoints, without a request."""

from dataclasses import replace
from pathlib import Path

import pytest

from usage_assets.config.settings import Connection
from usage_assets_mapping.questions import Answer, RefusedError, answer_to
from usage_assets_mapping.reading import Resource, read
from usage_assets_tests.connections import connection

OFFICIAL = Path(__file__).parent / "official"
USAGE, *_, CODE = read(OFFICIAL / "claude.yml").resources
COMPLETIONS = "/organization/usage/completions"


def asked(kind: str, **params: str | tuple[str, ...]) -> Resource:
    """A resource that asks something."""
    values = {name: (value,) if isinstance(value, str) else value for name, value in params.items()}
    return replace(USAGE, kind=kind, query_params={name.replace("_LIST", "[]"): each for name, each in values.items()})


def answered(resource: Resource, by: Connection) -> Answer:
    answer = answer_to(resource, by)
    assert answer
    return answer


def test_a_path_is_compared_below_the_base_url() -> None:
    for kind in (COMPLETIONS, "/v1/organization/usage/completions", "/openai/v1" + COMPLETIONS):
        by = connection("openai", base_url="http://localhost:9000/openai/v1")
        assert answered(asked(kind), by).endpoint.name == "usage_completions"
        assert answer_to(asked(COMPLETIONS), connection("anthropic")) is None, kind


def test_a_path_may_name_the_connections_own_id_or_the_parameter() -> None:
    by, kind = connection("chatgpt", ids={"workspace_id": "ws-1"}), "/v1/analytics/codex/workspaces/{}/usage"
    for stated in ("ws-1", "{workspace_id}"):
        found = answered(asked(kind.format(stated), group_by="day"), by)
        assert (found.endpoint.name, found.how, found.query) == ("codex_usage", "archived", {})
    assert answer_to(asked(kind.format("ws-2")), by) is None


def test_a_filter_that_the_connection_has_too_is_answered_by_its_days() -> None:
    by = connection("openai", filters={"project_ids": ("p1", "p2")})
    found = answered(asked("/organization/costs", project_ids_LIST=("p2", "p1")), by)
    assert (found.how, found.selected) == ("archived", {})
    with pytest.raises(RefusedError, match="connection openai stores project_ids=p1,p2 only: state the same"):
        answer_to(asked("/organization/costs"), by)


def test_what_no_stored_day_answers_is_refused_by_name() -> None:
    for resource, provider, said in [
        (
            asked(USAGE.kind, group_by_LIST=("model", "inference_geo")),
            "anthropic",
            "group_by inference_geo: stored days of usage_messages are grouped by workspace_id, ",
        ),
        (
            asked(CODE.kind, group_by_LIST="model"),
            "anthropic",
            "group_by model: stored days of claude_code are grouped",
        ),
        (
            asked(USAGE.kind, bucket_width="1h"),
            "anthropic",
            "bucket_width=1h: stored days are asked with bucket_width=1d",
        ),
        (
            asked(USAGE.kind, inference_geos_LIST="us"),
            "anthropic",
            "inference_geos[]: stored days of usage_messages are not asked with it",
        ),
        (replace(USAGE, method="POST"), "anthropic", "method POST: usage_messages is read with GET"),
        (asked("/v1/organizations/workspaces"), "anthropic", "/v1/organizations/workspaces is a list without days"),
    ]:
        with pytest.raises(RefusedError) as raised:
            answer_to(resource, connection(provider))
        assert str(raised.value).startswith(f"claude.yml:4: messages_claude_usage_record: {said}")


def test_an_endpoint_that_is_switched_off_is_named() -> None:
    by = connection("anthropic", endpoints={"usage_messages": False})
    with pytest.raises(RefusedError, match="connection anthropic does not fetch usage_messages: switch it on"):
        answer_to(USAGE, by)
