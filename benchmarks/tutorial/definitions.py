"""An asset per endpoint that calls the API page by page and returns a DataFrame, daily partitions, and the stock
``DuckDBPandasIOManager``.

OpenAI's and Anthropic's reports: as many assets as a connection of ours has, so that the start of a run weighs as much.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import httpx
import pandas as pd
from dagster_duckdb_pandas import DuckDBPandasIOManager

URL = os.environ["SANDBOX_URL"]
OPENAI = {"Authorization": "Bearer sk-admin-sandbox"}
ANTHROPIC = {"x-api-key": "sk-ant-admin-sandbox", "anthropic-version": "2023-06-01"}
OPENAI_REPORTS = {
    "costs": ["project_id", "line_item"],
    "usage/completions": ["project_id", "model"],
    "usage/embeddings": ["project_id", "model"],
    "usage/moderations": ["project_id", "model"],
    "usage/images": ["project_id", "model"],
    "usage/audio_speeches": ["project_id", "model"],
    "usage/audio_transcriptions": ["project_id", "model"],
    "usage/vector_stores": ["project_id"],
    "usage/code_interpreter_sessions": ["project_id"],
    "usage/file_search_calls": ["project_id"],
    "usage/web_search_calls": ["project_id"],
}
ANTHROPIC_REPORTS = {
    "usage_report/messages": ["workspace_id", "model"],
    "cost_report": ["workspace_id", "description"],
}
DAILY = dg.DailyPartitionsDefinition(os.environ["FIRST_DAY"])


def pages(url: str, headers: dict[str, str], params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Get every page of a report."""
    while True:
        response = httpx.get(url, headers=headers, params=params, timeout=60)
        response.raise_for_status()
        page: dict[str, Any] = response.json()
        yield page
        if not page["has_more"]:
            return
        params = {**params, "page": page["next_page"]}


def frame_of(day: datetime, rows: Sequence[dict[str, Any]], dimensions: Sequence[str]) -> pd.DataFrame:
    """Make a data frame of a day: its dimensions as text and all numbers."""
    frame = pd.json_normalize(rows) if rows else pd.DataFrame(columns=list(dimensions))
    numbers = frame.select_dtypes("number")
    return frame[list(dimensions)].astype("str").assign(usage_date=day, total=numbers.sum(axis=1).astype("float64"))


def openai_asset(report: str, group_by: Sequence[str]) -> dg.AssetsDefinition:
    """Make the asset of one of OpenAI's reports."""

    @dg.asset(
        name=f"openai_{report.replace('/', '_')}", partitions_def=DAILY, metadata={"partition_expr": "usage_date"}
    )
    def asset(context: dg.AssetExecutionContext) -> pd.DataFrame:
        day = datetime.fromisoformat(context.partition_key).replace(tzinfo=UTC)
        params = {
            "start_time": int(day.timestamp()),
            "end_time": int((day + timedelta(days=1)).timestamp()),
            "bucket_width": "1d",
            "group_by": group_by,
        }
        rows = [
            result
            for page in pages(f"{URL}/openai/v1/organization/{report}", OPENAI, params)
            for bucket in page["data"]
            for result in bucket["results"]
        ]
        return frame_of(day.replace(tzinfo=None), rows, group_by)

    return asset


def anthropic_asset(report: str, group_by: Sequence[str]) -> dg.AssetsDefinition:
    """Make the asset of one of Anthropic's reports."""

    @dg.asset(
        name=f"anthropic_{report.replace('/', '_')}", partitions_def=DAILY, metadata={"partition_expr": "usage_date"}
    )
    def asset(context: dg.AssetExecutionContext) -> pd.DataFrame:
        day = datetime.fromisoformat(context.partition_key).replace(tzinfo=UTC)
        params = {
            "starting_at": f"{day:%Y-%m-%dT00:00:00Z}",
            "ending_at": f"{day + timedelta(days=1):%Y-%m-%dT00:00:00Z}",
            "bucket_width": "1d",
            "group_by[]": group_by,
        }
        rows = [
            result
            for page in pages(f"{URL}/anthropic/v1/organizations/{report}", ANTHROPIC, params)
            for bucket in page["data"]
            for result in bucket["results"]
        ]
        return frame_of(day.replace(tzinfo=None), rows, group_by)

    return asset


@dg.asset(partitions_def=DAILY, metadata={"partition_expr": "usage_date"})
def anthropic_claude_code(context: dg.AssetExecutionContext) -> pd.DataFrame:
    """Claude Code: one day a request."""
    url = f"{URL}/anthropic/v1/organizations/usage_report/claude_code"
    params = {"starting_at": context.partition_key, "limit": 1000}
    rows = [record for page in pages(url, ANTHROPIC, params) for record in page["data"]]
    return frame_of(datetime.fromisoformat(context.partition_key), rows, ["customer_type", "terminal_type"])


defs = dg.Definitions(
    assets=[
        *(openai_asset(report, group_by) for report, group_by in OPENAI_REPORTS.items()),
        *(anthropic_asset(report, group_by) for report, group_by in ANTHROPIC_REPORTS.items()),
        anthropic_claude_code,
    ],
    resources={"io_manager": DuckDBPandasIOManager(database=os.environ["TUTORIAL_DATABASE"], schema="raw")},
)
