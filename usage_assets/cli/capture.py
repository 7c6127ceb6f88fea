"""`usage-assets capture`: saves one day of real answers as sanitized files, and shows what the code does not expect.

The files have the form of ``fixtures/``. Ids, names and addresses of the account are replaced. Amounts and counters
stay, because a shape is about them.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import httpx
import msgspec

from usage_assets.cli.access import connections_named
from usage_assets.config.days import parse_days
from usage_assets.config.settings import Connection, Settings, SettingsError
from usage_assets.core.addresses import checked_url, is_loopback
from usage_assets.core.errors import one_line
from usage_assets.core.people import People
from usage_assets.core.schema import Column, columns, sent_names
from usage_assets.fetching.archive.store import Body, packed
from usage_assets.fetching.client import FetchResult
from usage_assets.fetching.connected import endpoints_of, provider_client
from usage_assets.fetching.shapes import Shape, remember, shape_of
from usage_assets.fetching.transport import ProviderError
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import FRAME, OURS

ITEMS = 3
"""That a list in an example has."""
CHECKSUMS, README = "CHECKSUMS.sha256", "README.md"
HEAD = "# Captured answers\n\n| file | kind | source |\n|---|---|---|\n"

WORDS = frozenset(
    (
        "object", "currency", "line_item", "model", "model_id", "snapshot_id", "service_tier", "size", "image_size",
        "source", "quantity_unit", "api_source", "cost_type", "token_type", "context_window", "context_level",
        "inference_geo", "description", "customer_type", "subscription_type", "terminal_type", "speed", "client_id",
        "type", "operation", "request_type", "product", "actor_type", "BillingCurrency", "ChargeCategory",
        "ChargeClass", "ConsumedUnit", "PricingUnit", "ServiceCategory", "ServiceName", "SkuMeter", "kind",
        "mostUsedModel", "applyMostUsedExtension", "tabMostUsedExtension", "clientVersion",
        "share_status", "artifact_type",
    )
)  # fmt: skip
"""Fields whose text is the provider's own vocabulary. Text under any other name is replaced."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:.]+(Z|[+-]\d\d:?\d\d)?)?")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_ID = re.compile(r"[iI]ds?$")
_FIELD = re.compile(r"_?[A-Za-z][A-Za-z_]*(\d{1,2}[a-z_]+)*")
_PREFIX = re.compile(r"(?:org|proj|user|key|apikey|wrkspc|svac|svcacct|account|acct|ws|vs|page|req|sk)[-_]")
"""How providers' ids begin."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FINE_TUNED = re.compile(r"\bft:([^:,\s]+):[^,\s]*")

JSON_TYPES: Mapping[type, str] = {str: "text", int: "number", Decimal: "number", bool: "true or false"}
_exact = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class Sanitizer:
    """Replaces what identifies the account. One value has one stand-in of the same form, in all that it replaces."""

    def __init__(self) -> None:
        self._stand_ins: dict[str, str] = {}

    def sanitized(self, value: Any, name: str = "") -> Any:
        """Decoded JSON that stands under a name, without ids, names, addresses and page tokens."""
        if isinstance(value, dict):
            return {self._name(key): self.sanitized(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.sanitized(inner, name) for inner in value]
        if isinstance(value, str):
            return self._text(value, name)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return int(self._stand_in(str(value))) if is_number and _ID.search(name) else value

    def _name(self, name: str) -> str:
        """A field's name stays; an id or an address that is a key does not."""
        return name if _FIELD.fullmatch(name) and not _looks_like_id(name) else self._stand_in(name)

    def _text(self, text: str, name: str) -> str:
        if not text or _TIME.fullmatch(text) or (_NUMBER.fullmatch(text) and not _ID.search(name)):
            return text
        if name in WORDS:
            return People("ids").scrubbed(_FINE_TUNED.sub(r"ft:\1:organization::id", text))
        return self._stand_in(text)

    def _stand_in(self, text: str) -> str:
        if text not in self._stand_ins:
            self._stand_ins[text] = _of_the_same_form(text, str(len(self._stand_ins) + 1))
        return self._stand_ins[text]


def _looks_like_id(text: str) -> bool:
    return bool(_PREFIX.match(text) and re.search(r"\d", text))


def _of_the_same_form(text: str, number: str) -> str:
    if "@" in text:
        return f"person{number}@example.com"
    if _UUID.fullmatch(text):
        return f"00000000-0000-4000-8000-{number.zfill(12)}"
    if text.isdigit():
        return number.ljust(len(text), "0")
    if prefix := _PREFIX.match(text):
        return prefix.group() + number.zfill(len(text) - prefix.end())
    return f"name {number}"


@dataclass
class Captured:
    """What one endpoint answered for a day."""

    provider: str
    endpoint: Endpoint
    day: date
    contents: list[bytes] = field(default_factory=list)
    """The pages as they were sent."""
    fetched: FetchResult | None = None
    failure: str = ""
    """Why they could not be read, in one line."""

    @property
    def name(self) -> str:
        """``<provider>/<endpoint>``."""
        return f"{self.provider}/{self.endpoint.name}"

    @property
    def shape(self) -> Shape | None:
        """What the answer has; None where it says nothing of a shape."""
        return shape_of(self.fetched.rows, self.day) if self.fetched and self.fetched.rows.num_rows else None

    def differences(self) -> Iterator[tuple[str, str, str]]:
        """What is not as the code expects, and each amount: field, what is expected, what was seen."""
        seen = self._seen_types()
        declared = dict(_declared(self.endpoint))
        for spelled, column in declared.items():
            expected = JSON_TYPES.get(column.type, "text")
            types = set().union(*(found for path, found in seen.items() if _is_at(path, spelled)))
            if types <= {"null"} and not self._is_computed(column):
                yield spelled, expected, "null only" if types else "never"
            elif column.type is Decimal and types:
                yield spelled, "number, as such or as text", " and ".join(sorted(types))
        if self.fetched:
            for name, count in sorted(self.fetched.unknown_fields.items()):
                yield name, "unknown", f"{count} times"
        else:
            for path in sorted(path for path in seen if not any(_is_at(path, known) for known in (*declared, *FRAME))):
                yield path, "unknown", " and ".join(sorted(seen[path]))

    def _is_computed(self, column: Column) -> bool:
        rows = self.fetched and self.fetched.rows
        return bool(rows and column.name in rows.column_names and rows[column.name].null_count < rows.num_rows)

    def _seen_types(self) -> Mapping[str, set[str]]:
        seen: defaultdict[str, set[str]] = defaultdict(set)
        for content in self.contents:
            _note_types(_exact.decode(content), "", seen)
        return seen


def _declared(endpoint: Endpoint) -> Iterator[tuple[str, Column]]:
    for model in (endpoint.row, *endpoint.row.parts.values()):
        spelled = sent_names(model)
        yield from ((spelled[column.name], column) for column in columns(model) if column.name not in OURS)


def _is_at(path: str, spelled: str) -> bool:
    return path == spelled or path.endswith(f".{spelled}")


def _note_types(value: Any, path: str, seen: defaultdict[str, set[str]]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _note_types(inner, f"{path}.{name}" if path else name, seen)
    elif isinstance(value, list):
        for inner in value:
            _note_types(inner, path, seen)
    else:
        seen[path].add("null" if value is None else JSON_TYPES[type(value)])


def chosen_endpoints(connection: Connection, names: Sequence[str]) -> Sequence[Endpoint]:
    """The endpoints with these names, or those that the connection fetches. Raises SettingsError."""
    provider = PROVIDERS[connection.provider]
    known = {endpoint.name: endpoint for endpoint in provider.endpoints}
    if unknown := next((name for name in names if name not in known), None):
        raise SettingsError(f"--endpoint {unknown!r}: {provider.name} has only {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)] or endpoints_of(provider, connection)


def answers_of(
    connection: Connection, settings: Settings, day: date, endpoints: Iterable[Endpoint]
) -> Iterator[Captured]:
    """Ask for the day and yield what each endpoint answered, also where it cannot be read. Raises SettingsError."""
    captured: list[Captured] = []

    def keep(endpoint: Endpoint, people: People, content: bytes) -> Body:
        _exact.decode(content)  # raises what makes the client try again
        if content not in captured[-1].contents:
            captured[-1].contents.append(content)
        return packed(endpoint, people, content)

    with provider_client(connection, settings, keep=keep, concurrency=1, attempts=2) as client:
        for endpoint in endpoints:
            captured.append(Captured(connection.provider, endpoint, day))
            try:
                captured[-1].fetched = client.fetch(endpoint, [day])
            except ProviderError as error:
                captured[-1].failure = str(error)
            yield captured[-1]


def write(captured: Captured, folder: Path, sanitizer: Sanitizer) -> list[Path]:
    """Write the sanitized pages, their rows in the README and the checksums of everything in the folder."""
    folder.mkdir(parents=True, exist_ok=True)  # also where every answer is a refusal
    written: list[Path] = []
    for n, content in enumerate(captured.contents, 1):
        path = folder / captured.name / f"captured_{captured.day}{f'_{n}' if n > 1 else ''}.json"
        _write_sanitized(_exact.decode(content), path, sanitizer)
        written.append(path)
    readme = folder / README
    text = readme.read_text() if readme.exists() else HEAD
    rows = [f"| `{path.relative_to(folder).as_posix()}` | captured | a real account, sanitized |\n" for path in written]
    readme.write_text(text + "".join(row for row in rows if row not in text))
    sums = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != CHECKSUMS]
    digests = ((hashlib.sha256(path.read_bytes()).hexdigest(), path.relative_to(folder)) for path in sums)
    (folder / CHECKSUMS).write_text("".join(f"{digest}  {path.as_posix()}\n" for digest, path in digests))
    return written


def write_example(captured: Captured, folder: Path, sanitizer: Sanitizer) -> Path:
    """Write the first page, sanitized and with few items and results: what the editor takes as a test payload."""
    path = folder / "examples" / f"{captured.name}.json"
    _write_sanitized(_shortened(_exact.decode(captured.contents[0])), path, sanitizer)
    return path


def _write_sanitized(body: Any, path: Path, sanitizer: Sanitizer) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(_encoder.encode(sanitizer.sanitized(body))) + b"\n")


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shortened(inner) for name, inner in value.items()}
    return [_shortened(inner) for inner in value[:ITEMS]] if isinstance(value, list) else value


def _kind(endpoint: Endpoint, connection: Connection) -> str:
    """Return what a mapping calls the endpoint: its path below the host."""
    base = httpx.URL(PROVIDERS[connection.provider].base_url or connection.base_url or "").path
    return f"{base.rstrip('/')}/{endpoint.path_in(connection.ids)}"


@click.command()
@click.option("--connection", "name", required=True, metavar="NAME", help="Connection to fetch from.")
@click.option("--day", required=True, metavar="YYYY-MM-DD", help="A day with usage of every endpoint that matters.")
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME", help="Only this endpoint. Repeatable.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Output folder. Default: `captured` next to the database file."
)
@click.option("--examples", is_flag=True, help="Also write each answer cut short, for Port's mapping editor.")
def capture(name: str, day: str, endpoints: Sequence[str], out: Path | None, *, examples: bool) -> int:
    settings = Settings.load()
    first, _ = parse_days(day, day, settings)
    [connection] = connections_named(settings, [name])
    folder, sanitizer = out or settings.warehouse.folder / "captured", Sanitizer()
    shapes: dict[str, Shape] = {}
    failed = False
    for captured in answers_of(connection, settings, first, chosen_endpoints(connection, endpoints)):
        _show(captured, write(captured, folder, sanitizer))
        if examples and captured.contents:
            click.echo(f"  kind {_kind(captured.endpoint, connection)}: {write_example(captured, folder, sanitizer)}")
        failed |= bool(captured.failure)
        shapes |= {captured.name: captured.shape} if captured.shape else {}
    if connection.key and is_loopback(checked_url(connection.base_url)):
        click.echo("not remembered as seen live: the answers come from this machine", err=True)
    else:
        remember(settings.shapes_path, shapes)
    click.echo(f"Read the files in {folder} before you show them to anyone.")
    return 1 if failed else 0


def _show(captured: Captured, files: Sequence[Path]) -> None:
    rows = captured.fetched.rows.num_rows if captured.fetched else 0
    click.echo(f"{captured.name} {captured.day}: pages {len(captured.contents)}, rows {rows:,}")
    for path in files:
        click.echo(f"  {path}")
    for name, expected, seen in captured.differences():
        click.echo(f"  {name:<44} expected: {expected:<28} seen: {seen}")
    if captured.failure:
        click.echo(f"FAILED: {one_line(captured.failure)}", err=True)
