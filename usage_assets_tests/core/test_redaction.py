"""No eight characters of a secret are left, however it is spelled, and other text stays as it is."""

import string
from random import Random

import pytest

from usage_assets.core.redaction import Redactor, redacted
from usage_assets.testing.echoes import HARD_KEY, SPELLINGS, leaked

ADVICE = "Check the admin key: it starts with sk-ant-admin"
ENCODED = ("Base64", "digits", "cut", "lines", "mail")
"""Spellings that are not spelled within another one."""
OUTER = [spelled for name, spelled in SPELLINGS.items() if not any(each in name for each in ENCODED)]


def test_no_spelling_of_a_secret_is_left() -> None:
    """Alone, and within another spelling."""
    for seed in range(40):
        random = Random(seed)
        letters = string.ascii_letters + string.digits + random.choice(["", "-_", string.punctuation + " é"])
        secret = "sk-ant-" * random.randint(0, 1) + "".join(random.choices(letters, k=random.choice([9, 20, 40, 164])))
        redactor = Redactor([secret, HARD_KEY], [ADVICE])
        for name, spelled in SPELLINGS.items():
            for outer in (str, random.choice(OUTER)):
                said = redactor.redacted(f'{ADVICE}: refused ({outer(spelled(secret))}) "key"={spelled(secret)}.')
                assert said.startswith(ADVICE), said
                assert not leaked(said, [secret], known=ADVICE), (name, said)


def test_other_text_stays_as_it_is() -> None:
    for text in (
        "Incorrect API key provided: sk-abc**********wxyz. You can find your API key at https://platform.openai.com.",
        "Bearer tokens are sent as Authorization: Bearer sk-ant-...",
        ADVICE,
        "100% of 7 \\ 8 &amp; %zz &nothing; \\u12 =?",
        "Zq8 sk-admin-Zq8",
        "",
    ):
        assert Redactor(["sk-ant-admin01-Zq8Vb7Kd0fPw2", "secret"], [ADVICE]).redacted(text) == text


def test_a_short_secret_is_replaced_where_it_is_whole() -> None:
    for secret in ("sk-1234", "hunter2!"):
        assert Redactor([secret]).redacted(f"key {secret} of {secret[:-1]}") == f"key *** of {secret[:-1]}"


def test_what_a_library_says_has_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "geheim-4711")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", HARD_KEY)
    said = redacted(f"role me, {SPELLINGS['in HTML'](HARD_KEY)}, geheim-4711, host=db password='a b' s3://me:pw@there")
    assert said == "role me, ***, ***, host=db password=*** s3://me:***@there"
