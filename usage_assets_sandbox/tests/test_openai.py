"""The emulated OpenAI organization API refuses what the real one refuses, and has a bucket a day."""

from datetime import date, timedelta

from usage_assets_sandbox.tests.calling import (
    ENDPOINTS,
    FIXTURES,
    TODAY,
    SandboxCaller,
    changes,
    exact,
    unix,
    unix_window,
)

COSTS = ENDPOINTS["openai", "costs"]
COMPLETIONS = ENDPOINTS["openai", "usage_completions"]
START, END = TODAY - timedelta(days=10), TODAY
WINDOW = unix_window(START, END)
DAY = 86_400


def test_a_call_without_the_key_is_refused(sandbox: SandboxCaller) -> None:
    for endpoint in (
        COSTS,
        COMPLETIONS,
    ):
        for headers, message, code in (
            ({}, "You didn't provide an API key", None),
            (
                {"authorization": "Bearer sk-admin-other-secret"},
                "Incorrect API key provided: sk-********cret.",
                "invalid_api_key",
            ),
        ):
            answer = sandbox.get(endpoint.path, WINDOW, headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["message"].startswith(message)
            assert answer.json()["error"]["code"] == code
            assert "sk-admin-other-secret" not in answer.text


def test_a_bad_parameter_is_refused(sandbox: SandboxCaller) -> None:
    for [name], change, message in changes(f"""
        costs  start_time                        Missing required parameter: 'start_time'.
        costs  starting_at=2026-11-01T00:00:00Z  Unknown parameter: 'starting_at'.
        costs  start_time={unix(START) + 1}      Invalid value for 'start_time'
        costs  end_time={unix(START)}            Invalid value for 'end_time': end_time must be after
        costs  bucket_width=1h                   Invalid value: '1h'. Supported values are: '1d'.
        costs  limit=181                         Limit must be less than or equal to 180.
        costs  limit=7&limit=8                   Parameter 'limit' was given more than once.
        costs  group_by[]=project_id,user_id     Invalid value: 'project_id,user_id'.
        usage_completions  group_by=line_item    Invalid value: 'line_item'.
        usage_completions  limit=32              Limit must be less than or equal to 31.
    """):
        answer = sandbox.get(ENDPOINTS["openai", name].path, {**WINDOW, **change})
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], [error["param"]]) == (400, "invalid_request_error", [*change])
        assert error["message"].startswith(message), change


def test_history_ends_365_days_ago(sandbox: SandboxCaller) -> None:
    for endpoint in (
        COSTS,
        COMPLETIONS,
    ):
        first = TODAY - timedelta(days=365)
        assert sandbox.get(endpoint.path, unix_window(first, END)).status_code == 200
        refused = sandbox.get(endpoint.path, unix_window(first - timedelta(days=1), END))
        observed = (FIXTURES / "openai/costs/observed_error_400_lookback.json").read_text()
        assert (refused.status_code, refused.json()) == (400, exact(observed.replace("2030-01-01", str(first))))


def test_grouping_costs_by_key_is_refused_before_its_first_day(sandbox: SandboxCaller) -> None:
    for spelling in (
        "group_by",
        "group_by[]",
    ):
        floor = date(2025, 12, 6)
        early = unix_window(floor - timedelta(days=1), END)
        refused = sandbox.get(COSTS.path, {**early, spelling: ["project_id", "api_key_id"]})
        observed = exact((FIXTURES / "openai/costs/observed_error_400_api_key_floor.json").read_bytes())
        assert (refused.status_code, refused.json()) == (400, observed)
        assert sandbox.get(COSTS.path, {**early, spelling: ["project_id"]}).status_code == 200
        assert sandbox.get(COSTS.path, {**unix_window(floor, END), spelling: ["api_key_id"]}).status_code == 200
        assert sandbox.get(COMPLETIONS.path, {**early, spelling: ["api_key_id"]}).status_code == 200


def test_a_page_token_is_bound_to_its_query(sandbox: SandboxCaller) -> None:
    for change in (
        {"start_time": unix(START) + DAY},
        {"limit": 4},
        {"group_by[]": ["project_id", "user_id"]},
        {"project_ids": "proj_a"},
    ):
        query = {**WINDOW, "limit": 3, "group_by[]": ["project_id"]}
        token = sandbox.get(COSTS.path, query).json()["next_page"]
        assert sandbox.get(COSTS.path, {**query, "page": token}).status_code == 200
        refused = sandbox.get(COSTS.path, {**query, "page": token, **change})
        observed = exact((FIXTURES / "openai/costs/observed_error_400_page_token.json").read_bytes())
        assert (refused.status_code, refused.json()) == (400, observed)


def test_every_day_has_one_bucket_and_pages_hold_the_limit(sandbox: SandboxCaller) -> None:
    for endpoint, limit, days, sizes in (
        (COSTS, None, 10, [7, 3]),
        (COSTS, 180, 365, [180, 180, 5]),
        (COMPLETIONS, 31, 90, [31, 31, 28]),
    ):
        start = END - timedelta(days=days)
        pages = list(sandbox.pages(endpoint.path, {**unix_window(start, END), "limit": limit}))
        assert [len(page["data"]) for page in pages] == sizes
        buckets = [bucket for page in pages for bucket in page["data"]]
        assert [bucket["start_time"] for bucket in buckets] == [unix(start) + DAY * n for n in range(days)]
        assert all(bucket["end_time"] - bucket["start_time"] == DAY for bucket in buckets)
        assert all((page["object"], page["data"][0]["object"]) == ("page", "bucket") for page in pages)


def test_a_report_refuses_what_belongs_to_others(sandbox: SandboxCaller) -> None:
    for report, change, message in (
        ("embeddings", {"batch": "true"}, "Unknown parameter: 'batch'."),
        ("images", {"sizes": "2x2"}, "Invalid value: '2x2'."),
        ("vector_stores", {"group_by[]": "user_id"}, "Invalid value: 'user_id'. Supported values are: 'project_id'."),
        ("web_search_calls", {"context_levels": "huge"}, "Invalid value: 'huge'."),
    ):
        answer = sandbox.get(ENDPOINTS["openai", f"usage_{report}"].path, {**WINDOW, **change})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
        assert answer.json()["error"]["message"].startswith(message)
