"""Bodies of others over HTTP: the sandbox answers as they were recorded, and a fetch reads what is read of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import msgspec
import pyarrow as pa
import pytest

from usage_assets.core.people import People
from usage_assets.providers.endpoint import Endpoint
from usage_assets_tests.fetching.conftest import Answers
from usage_assets_tests.providers import recorded
from usage_assets_tests.providers.recorded import Body
from usage_assets_tests.providers.test_recorded import BODIES, REFUSED_AS_WELL, SOUND, WRONG_TODAY


def is_asked_over_http(body: Body) -> bool:
    """Whether its endpoint answers with the body itself, and not with a file or links to one."""
    provider, endpoint = body.asked
    return not (provider.reads_files or endpoint.links)


PAGES = [name for name in SOUND if "_page_" in name]
"""The pages of one answer."""
WRONG = {*REFUSED_AS_WELL, *WRONG_TODAY}
WITH_COSTS = [name for name in SOUND if name not in WRONG and "costs" in BODIES[name].entry]
PLAYED = [name for name in WITH_COSTS if name not in PAGES and is_asked_over_http(BODIES[name])]


def pages(content: bytes) -> list[str]:
    """A page, and an empty last one after it where it says that there are more."""
    body = msgspec.json.decode(content)
    if isinstance(body, dict) and body.get("has_more") is True:
        last = body | {"data": [], "has_more": False, "next_page": None}
        return [content.decode(), msgspec.json.encode(last).decode()]
    return [content.decode()]


OURS = ("workspace_id", "organization", "grouped_by")
"""Columns of what we ask with: it is not the same in both."""


def rows_in(tables: Iterable[pa.Table], endpoint: Endpoint) -> Counter[str]:
    """Rows without their order."""
    asked = [name for name in OURS if name in endpoint.row.__struct_fields__ and name not in endpoint.group_by]
    return Counter(str(row) for table in tables for row in table.drop_columns(asked).to_pylist())


def test_what_is_fetched_of_a_recorded_body_is_what_is_read_of_it(answers: Answers, subtests: pytest.Subtests) -> None:
    """What these rows mean is compared in test_recorded.py."""
    for name in PLAYED:
        body = BODIES[name]
        provider, endpoint = body.asked
        endpoint = replace(endpoint, queries=endpoint.queries[-1:] if "workspace" in name else endpoint.queries[:1])
        recordings = [*recorded.answers_of(body)]
        played = [{"days": [*map(str, window.days)], "pages": pages(content)} for window, content in recordings]
        answers.sandbox.mend()
        answers.faults(provider, endpoint, {"fault": "play", "answers": played})
        client = answers.new_client(provider, connection=name, people=People("names"))
        with subtests.test(name):
            fetched = rows_in((client.fetch(endpoint, window.days).rows for window, _ in recordings), endpoint)
            assert fetched == rows_in((rows for _, rows in recorded.rows_of(body)), endpoint)
