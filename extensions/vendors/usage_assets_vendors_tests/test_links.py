"""Reports behind links: where the key goes, and what is kept of a link, which is a secret."""

import logging
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event

import pytest

from usage_assets.fetching.archive.replay import Replay
from usage_assets.fetching.archive.store import Archive, packed
from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import PermanentError, Request, Transport
from usage_assets_tests.fetching.conftest import DAY, IDS, KEYS, OVER_HTTP, Answers, NewClient
from usage_assets_tests.in_background import in_background
from usage_assets_tests.models.days import one_a_line

PROVIDER, USERS = OVER_HTTP["github_copilot/users_1_day"]
_, BILL = OVER_HTTP["github_copilot/ai_credits"]
SIGNATURE = "sig=AbC%2Bd%2Fe%3D&se=2026-11-20T09%3A00%3A00Z"
ROW = '{"day":"%s","user_login":"%s","user_id":%d,"ai_credits_used":%s}'


def row(login: str, credits_used: str = "12.50000000000000000001") -> str:
    """A line of a report."""
    return ROW % (DAY, login, len(login), credits_used)


@dataclass
class Host:
    """A second host: another server on another port, with files that answer to a path and its query."""

    address: str
    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path with query, and headers, of each request."""

    def link(self, name: str, content: str | bytes, status: int = 200) -> str:
        """Serve a file; return its link."""
        path = f"/{name}?{SIGNATURE}"
        self.files[path] = status, content.encode() if isinstance(content, str) else content
        return self.address + path


@pytest.fixture
def host() -> Iterator[Host]:
    """Run a second host."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            second.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            status, content = second.files[self.path]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{second.address}/elsewhere")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    second = Host(f"http://127.0.0.1:{server.server_address[1]}")
    with in_background(server):
        yield second


@dataclass(frozen=True)
class Reports:
    """Fetches a report whose links lead to the second host."""

    answers: Answers
    new_client: NewClient

    def fetch(self, links: Sequence[str], **options: object) -> FetchResult:
        """Fetch the day's."""
        self.answers.replace(PROVIDER, USERS, *[{"download_links": [*links], "report_day": str(DAY)}] * 2)
        return self.new_client(PROVIDER, **options).fetch(USERS, [DAY])


@pytest.fixture
def reports(answers: Answers, new_client: NewClient) -> Reports:
    """Fetches a report whose links lead to the second host."""
    return Reports(answers, new_client)


def refused(new_client: NewClient, link: str, why: str) -> str:
    """Why no link of GitHub's own API leads there."""
    transport = new_client(PROVIDER, base_url="https://api.github.com").transport
    assert isinstance(transport, Transport)
    request = Request(read=bytes, place="test", days=[DAY], stop=Event(), on_retry=lambda: None)
    with pytest.raises(PermanentError, match=why) as raised:
        transport.download(link, request)
    return repr(raised.value)


def logins(fetched: FetchResult) -> list[str]:
    """Whose rows there are."""
    return sorted(fetched.rows["user_login"].to_pylist())


def test_the_key_and_all_that_goes_with_it_stay_with_the_provider(
    reports: Reports, host: Host, new_client: NewClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    links = [host.link("part-1", f"{row('alice')}\n{row('bob')}\n"), host.link("part-2", row("chen"))]
    fetched = reports.fetch(links)
    assert logins(fetched) == ["alice", "bob", "chen"]
    assert str(fetched.rows["ai_credits_used"][0]) == "12.500000000000000000010000", "no digit passed through a float"
    assert [path for path, _ in host.asked] == [f"/part-{n}?{SIGNATURE}" for n in (1, 2)], "as it was signed"
    for _, headers in host.asked:
        assert headers.keys() <= {"host", "user-agent", "accept", "accept-encoding", "connection"}
        assert headers["accept"] == "*/*"
        assert KEYS["github_copilot"] not in str(headers)
    assert "HTTP Request: GET" in caplog.text, "what is asked of the provider is logged"
    assert "sig=" not in caplog.text
    new_client(PROVIDER).fetch(BILL, [DAY])
    assert "ai_credit/usage" in caplog.text, "later requests are logged again"


@pytest.mark.parametrize("status", [302, 400, 403, 404, 410, 451])
def test_a_refusal_shows_the_host_only_and_a_redirect_is_not_followed(
    reports: Reports, host: Host, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(PermanentError) as raised:
        reports.fetch([host.link("file", f"<Error>{SIGNATURE}</Error>", status)])
    shown = f"{raised.value!r} {raised.value.cause} {raised.value.reason} {caplog.text}"
    assert f"{status} from the link to the report at 127.0.0.1" in shown
    assert "sig=" not in shown
    assert "/file" not in shown
    assert len(host.asked) == (2 if status in (403, 404, 410) else 1)
    assert raised.value.days == (DAY,)


def test_an_expired_link_is_asked_for_again_and_a_part_counts_once(
    reports: Reports, host: Host, answers: Answers
) -> None:
    first, expired = host.link("part-1", row("alice")), host.link("old", "", 403)
    new = host.link("part-2", row("bob"))
    answers.replace(PROVIDER, USERS, {"download_links": [first, expired]}, {"download_links": [first, new]})
    fetched = reports.new_client(PROVIDER).fetch(USERS, [DAY])
    assert (logins(fetched), fetched.retries) == (["alice", "bob"], 2)


LINKS = one_a_line("""
    http://example.com/?sig=secret
    ftp://example.com/?sig=secret
    https://user:secret@example.com/
    //example.com/?sig=secret
    secret
""")


def test_only_https_is_followed_and_the_link_is_not_shown(reports: Reports) -> None:
    for link in LINKS:
        with pytest.raises(PermanentError, match="a link to the report is no https:// address") as raised:
            reports.fetch([link])
        assert "secret" not in repr(raised.value), link


def test_only_a_sandbox_links_to_this_machine_without_https(new_client: NewClient, host: Host) -> None:
    refused(new_client, host.link("file", "[]"), "no https:// address")
    assert not host.asked


def test_a_link_into_a_private_network_is_not_followed(new_client: NewClient) -> None:
    """What counts is where the name leads. The other side gets nothing, not even the beginning of TLS."""
    for name in ("127.0.0.1", "localhost"):
        with socket.create_server(("127.0.0.1", 0)) as server:
            link = f"https://{name}:{server.getsockname()[1]}/file?{SIGNATURE}"
            said = refused(new_client, link, f"{name} is an address of a private network")
            connection, _ = server.accept()
            with connection:
                assert connection.recv(1) == b""
        assert "sig=" not in said, name


def test_the_archive_has_the_lines_as_they_were_sent_and_no_link(reports: Reports, host: Host, tmp_path: Path) -> None:
    archive = Archive(tmp_path, max_megabytes=1, max_days=9)
    content = f"{row('alice', '1.50')}\n{row('bob', '2e1')}\n"
    fetched = reports.fetch([host.link("file", content), host.link("more", row("chen"))], keep=packed)
    archive.write(fetched.responses)
    [kept] = list(tmp_path.glob("*/*/*"))
    scope = Scope(connection="github_copilot", ids=IDS["github_copilot"])
    replay = Replay(archive, scope)
    [(file, _)] = replay.newest(USERS, [DAY])
    pages = b"".join(file.pages())
    assert all(line.encode() in pages for line in content.splitlines())
    assert b"sig=" not in pages
    assert b"sig=" not in kept.read_bytes()
    assert "sig" not in f"{kept} {file.asked}"
    assert replay.fetch(USERS, [DAY]).rows.to_pylist() == fetched.rows.to_pylist()
