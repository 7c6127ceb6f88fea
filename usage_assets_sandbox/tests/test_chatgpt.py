"""The emulated Codex analytics refuse what the real ones refuse, and have pages of rows."""

from datetime import timedelta

from usage_assets_sandbox.tests.calling import ENDPOINTS, KEYS, TODAY, SandboxCaller, changes, unix, unix_window

CODEX = ENDPOINTS["chatgpt", "codex_usage"]
OLDEST = TODAY - timedelta(days=90)
START, END = TODAY - timedelta(days=10), TODAY
WINDOW = unix_window(START, END)


def test_a_stranger_is_refused(sandbox: SandboxCaller) -> None:
    for headers, path, status in (
        ({}, CODEX.path, 401),
        (KEYS["chatgpt"], CODEX.path.replace("ws-sandbox", "ws-other"), 404),
    ):
        answer = sandbox.get(path, WINDOW, headers)
        assert answer.status_code == status
        assert isinstance(answer.json()["detail"], str)


def test_a_bad_parameter_is_refused(sandbox: SandboxCaller) -> None:
    for _, change, kind in changes(f"""
        codex_usage  start_time=2026-11-10                  int_parsing
        codex_usage  start_time={unix(START) + 60}          value_error
        codex_usage  start_time={unix(OLDEST) - 86_400}     value_error
        codex_usage  group_by=week                          literal_error
        codex_usage  limit=30001                            less_than_equal
        codex_usage  limit=1&limit=2                        value_error
        codex_usage  page=page_AAAA                         value_error
    """):
        answer = sandbox.get(CODEX.path, {**WINDOW, **change})
        assert answer.status_code == 422, change
        (problem,) = answer.json()["detail"]
        assert problem.keys() == {"loc", "msg", "type", "input", "ctx"}
        assert (problem["loc"], problem["type"]) == (["query", *change], kind)


def test_history_ends_90_days_ago(sandbox: SandboxCaller) -> None:
    assert sandbox.get(CODEX.path, unix_window(OLDEST, END)).status_code == 200
    assert sandbox.get(CODEX.path, unix_window(OLDEST - timedelta(days=1), END)).status_code == 422


def test_pages_hold_rows_and_tokens_are_bound_to_the_query(sandbox: SandboxCaller) -> None:
    whole = sandbox.get(CODEX.path, {**WINDOW, "limit": 30_000}).json()["data"]
    pages = list(sandbox.pages(CODEX.path, {**WINDOW, "limit": 8}))
    assert [len(page["data"]) for page in pages[:-1]] == [8] * (len(pages) - 1)
    assert sum(len(page["data"]) for page in pages) == len(whole)
    query = {**WINDOW, "limit": 8, "page": pages[0]["next_page"]}
    assert sandbox.get(CODEX.path, query).status_code == 200
    for change in ({"limit": 9}, {"group": "workspace"}, {"end_time": unix(END) + 86_400}):
        assert sandbox.get(CODEX.path, {**query, **change}).status_code == 422
