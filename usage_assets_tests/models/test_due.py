"""What a day's answer depends on. When days are due: automation/test_due_sensor.py."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from usage_assets.models.due import question_of
from usage_assets_tests.connections import EMEA
from usage_assets_tests.fetching.conftest import EVERY_ENDPOINT

DIGESTS: Sequence[tuple[Mapping[str, Any], str]] = [
    ({}, "6700aa7a3e47"),
    ({"name": "apac", "base_url": "https://other.example/v1"}, "6700aa7a3e47"),
    ({"filters": {"user_ids": ("alice",)}}, "6700aa7a3e47"),
    ({"filters": {"project_ids": ("proj_2", "proj_1")}}, "0cc4127657f3"),
    ({"filters": {"project_ids": ("proj_1", "proj_2")}}, "0cc4127657f3"),
    ({"ids": {"organization": "org-1"}}, "438c2aacd034"),
    ({"ids": {"project": "proj_1"}}, "f3ad344b94c1"),
    ({"people": "hash"}, "f1ba9f28d5f6"),
]


def test_a_question_has_the_digest_that_is_stored_with_its_days() -> None:
    """Another digest would fetch every stored day again."""
    for changes, digest in DIGESTS:
        assert question_of(EVERY_ENDPOINT["openai/costs"][1], replace(EMEA, **changes)) == digest, changes


def test_what_an_organization_is_called_is_no_question_where_the_provider_is_not_told() -> None:
    _, endpoint = EVERY_ENDPOINT["anthropic/usage_messages"]
    unnamed = replace(EMEA, provider="anthropic")
    assert question_of(endpoint, unnamed) == question_of(endpoint, replace(unnamed, ids={"organization": "one"}))
