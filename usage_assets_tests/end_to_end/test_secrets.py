"""Every secret is sent to a server that repeats it. Nothing that commands and runs say or leave behind has it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from usage_assets.providers import PROVIDERS
from usage_assets.testing.echoes import HARD_KEY, SPELLINGS, echoing, leaked, secret_headers
from usage_assets.testing.wire import serve
from usage_assets_tests.fetching.conftest import IDS, PATHS
from usage_assets_tests.fixtures import last_days
from usage_assets_tests.terminal import ROOT

DAY = str(last_days(1)[0])
CARRIERS = ("401", "400 in plain text")
"""What is not tried again."""
TOKEN = f"pOrt{HARD_KEY[::-1]}"
COMMANDS: Sequence[tuple[str, ...]] = (
    ("backfill", "--start", DAY, "--end", DAY),
    ("doctor", "--all"),
    ("capture", "--connection", "cursor", "--day", DAY),
    *[("port", "plan"), ("port", "provision")] * 3,
)
ONE_AFTER_THE_OTHER = """
import sys
from usage_assets.cli.main import main
for words in sys.argv[1:]:
    try:
        main(words.split())
    except SystemExit as ended:
        print("ended with", ended.code, flush=True)
"""
"""A process of its own; that of each command would mostly import."""


def environment(address: str, folder: Path) -> Mapping[str, str]:
    """A user of every provider and of Port, with a key of each."""
    (folder / "home").mkdir()
    shutil.copy(ROOT / "dagster.yaml", folder / "home")
    found = {"PATH": os.environ["PATH"], "HOME": str(folder), "DAGSTER_HOME": str(folder / "home")}
    tables = []
    for number, (name, path) in enumerate(PATHS.items()):
        found[f"{name.upper()}_KEY"] = HARD_KEY[number:] + HARD_KEY[:number]
        stated = {"name": name, "provider": name, "key": f"env:{name.upper()}_KEY", "base_url": f"{address}/{path}"}
        fields = (f'{field} = "{value}"' for field, value in {**stated, **IDS.get(name, {})}.items())
        tables.append("\n".join(["[[connection]]", *fields]))
    (folder / "connections.toml").write_text("\n\n".join(tables))
    return found | {
        "USAGE_CONNECTIONS": str(folder / "connections.toml"),
        "PORT_CLIENT_ID": "the-client-of-a-test",
        "PORT_CLIENT_SECRET": f"Cl1ent{HARD_KEY[::2]}",
        "PORT_BASE_URL": f"{address}/port",
        "USAGE_WAREHOUSE": str(folder / "usage.duckdb"),
        "USAGE_BACKFILL_HISTORY": "false",
    }


class Echo:
    """A server that is every provider and Port, and repeats what it is sent, each time in another spelling."""

    def __init__(self) -> None:
        self.sent: set[str] = {TOKEN}
        self.answers = count()
        self.tokens = count()
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST", "PATCH", "PUT"])])

    async def _answer(self, request: Request) -> Response:
        number = next(self.answers)
        spelled = [*SPELLINGS.values()][number % len(SPELLINGS)]
        if request.url.path == "/port/v1/auth/access_token":
            if next(self.tokens) % 2:
                return JSONResponse({"accessToken": TOKEN, "expiresIn": 3600})
            return JSONResponse({"message": spelled((await request.json())["clientSecret"])}, 401)
        values = {value.rpartition(" ")[2] for value in secret_headers(request)}
        sent = {value for value in values if leaked(value, self.sent)}
        self.sent |= sent
        text = " ".join(map(spelled, sorted(sent)))
        if request.url.path.startswith("/port/"):
            return JSONResponse({"message": text}, 422)
        return echoing(CARRIERS[number % len(CARRIERS)], text)


def texts_in(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file below a folder, with the texts in it."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            found = dict.fromkeys(re.findall(r"[\x20-\x7e\s]{8,}", file.read_bytes().decode("latin-1")))
            yield file, "\n".join(found)


def test_a_secret_that_is_repeated_is_in_no_output_and_in_no_file(tmp_path: Path) -> None:
    echo = Echo()
    with serve(echo.app) as address:
        variables = environment(address, tmp_path)
        secrets = {value for name, value in variables.items() if re.search("KEY|SECRET", name)}
        echo.sent |= secrets
        words = [sys.executable, "-c", ONE_AFTER_THE_OTHER, *map(" ".join, COMMANDS)]
        done = subprocess.run(
            words, cwd=tmp_path, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        texts_and_codes = re.split(r"^ended with (\S+)\n", done.stdout, flags=re.MULTILINE)
        said = [*zip(COMMANDS, texts_and_codes[::2], texts_and_codes[1::2], strict=False)]
        assert (len(said), done.returncode, texts_and_codes[-1]) == (len(COMMANDS), 0, ""), done.stdout
        for command, text, code in said:
            assert code == ("2" if command[0] == "port" else "1"), text
            assert re.search("answered 4|40[01] from", text), text
    assert next(echo.answers) > len(SPELLINGS), "each spelling was tried"
    known = " ".join(words for provider in PROVIDERS.values() for words in provider.words)
    for command, text, _ in said:
        assert not leaked(text, echo.sent, known=known), (command, text)
    texts = dict(texts_in(tmp_path))
    assert {".db", ".duckdb"} <= {file.suffix for file in texts}
    for file, text in texts.items():
        assert not leaked(text, echo.sent, known=known, layers=2), file
