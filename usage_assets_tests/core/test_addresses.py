"""An address is used only where the secret that goes there stays secret."""

import httpx
import pytest

from usage_assets.core.addresses import checked_url, is_loopback


def test_https_and_this_machine_are_fine() -> None:
    for text in ("http://localhost:1/port", "http://127.0.0.1", "http://[::1]:8/v1", "https://h/v1"):
        assert checked_url(text) == httpx.URL(text)


def test_what_is_no_address_is_refused() -> None:
    for text in (
        *("", "https://", "api.openai.com", "ftp://127.0.0.1", "https://h:port", "https://[::"),
        *("https://api..openai.com/v1", f"https://{'h' * 64}.com/v1"),
    ):
        with pytest.raises(ValueError, match=r"^must look like https://host/path"):
            checked_url(text)


def test_http_is_for_this_machine_only() -> None:
    for host in (
        "api.openai.com",
        "10.0.0.7:80",
        "localhost.example.com",
    ):
        with pytest.raises(ValueError, match="would show the key to the network: use https://"):
            checked_url(f"http://{host}/v1")


def test_a_password_is_refused_without_being_repeated() -> None:
    for text in (
        "https://user:hunter2@h/v1",
        "https://hunter2@h",
        "https://user:hunter2",
    ):
        with pytest.raises(ValueError, match="without user or password") as refused:
            checked_url(text)
        assert "hunter2" not in repr(refused.value)


def test_loopback_is_this_machine() -> None:
    for text, expected in (
        ("http://localhost", True),
        ("http://127.9.9.9", True),
        ("https://[::1]", True),
        ("https://10.0.0.7", False),
    ):
        assert is_loopback(httpx.URL(text)) is expected
