"""Four reports by dlt's REST source into DuckDB, each replaced as a whole: `load.py URL FIRST END`, END left out."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dlt
from dlt.sources.rest_api import rest_api_source

URL, FIRST, END = sys.argv[1:]
PAGES = {"type": "cursor", "cursor_path": "next_page", "cursor_param": "page"}
FIRST_MOMENT, END_MOMENT = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (FIRST, END))
OPENAI = {"start_time": int(FIRST_MOMENT.timestamp()), "end_time": int(END_MOMENT.timestamp())}
ANTHROPIC = {"starting_at": f"{FIRST}T00:00:00Z", "ending_at": f"{END}T00:00:00Z"}


def report(name: str, path: str, limit: int, days: Mapping[str, Any], grouped: str, by: Sequence[str]) -> Any:
    """A report of all days, grouped as ours is."""
    asked = {**days, "bucket_width": "1d", "limit": limit, grouped: list(by)}
    return {
        "name": name,
        "write_disposition": "replace",
        "endpoint": {"path": path, "data_selector": "data", "params": asked},
    }


COSTS = ["project_id", "user_id", "line_item", "api_key_id"]
COMPLETIONS = ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"]
MESSAGES = ["workspace_id", "api_key_id", "account_id", "model", "service_tier"]
SOURCES = {
    "openai": {
        "client": {
            "base_url": f"{URL}/openai/v1/organization/",
            "auth": {"type": "bearer", "token": "sk-admin-sandbox"},
            "paginator": PAGES,
        },
        "resources": [
            report("costs", "costs", 180, OPENAI, "group_by", COSTS),
            report("completions", "usage/completions", 31, OPENAI, "group_by", COMPLETIONS),
        ],
    },
    "anthropic": {
        "client": {
            "base_url": f"{URL}/anthropic/v1/organizations/",
            "headers": {"anthropic-version": "2023-06-01", "x-api-key": "sk-ant-admin-sandbox"},
            "paginator": PAGES,
        },
        "resources": [
            report("messages", "usage_report/messages", 31, ANTHROPIC, "group_by[]", MESSAGES),
            report("cost_report", "cost_report", 31, ANTHROPIC, "group_by[]", ["workspace_id", "description"]),
        ],
    },
}
PIPELINE = dlt.pipeline(
    "usage", destination=dlt.destinations.duckdb("dlt.duckdb"), dataset_name="usage", pipelines_dir="state"
)
for source, described in SOURCES.items():
    PIPELINE.run(rest_api_source(described, name=source)).raise_on_failed_jobs()
