"""What a user can configure: environment, ``.env`` and the connections file. Secrets are read, never shown.

Nothing here opens a network connection or the warehouse. Every refusal is one line that names the variable or the
file, the line and the field (SettingsError).
"""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, cached_property, partial
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PrivateAttr,
    SecretStr,
    StrictBool,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import core_schema
from pydantic_settings import BaseSettings, SettingsConfigDict

from usage_assets.config.accounting import (
    Accounting,
    Budget,
    ConfiguredConnectionRow,
    Dated,
    Entries,
    Entry,
    ModelName,
    Owner,
    Person,
    Scoped,
    SeparateBillRow,
    TagAllocation,
    Unique,
    person_rows,
    repeated,
    shared_identity,
)
from usage_assets.config.address import ENCODING, ENV_FILE, WAREHOUSE, SettingsError, address_of, env_file, unreadable
from usage_assets.config.blueprints import OwnBlueprint, read_blueprints
from usage_assets.config.toml_file import TomlFile
from usage_assets.core.addresses import account_at, checked_url
from usage_assets.core.days import DAY, end_of_month, first_kept, utc_today
from usage_assets.core.features import missing_sections, sections, sending_sections
from usage_assets.core.forgotten import Forgotten, ForgottenError
from usage_assets.core.people import People, Policy
from usage_assets.core.redaction import Redactor, parts_of_address, secrets_of_environment
from usage_assets.core.warehouse_address import WarehouseAddress
from usage_assets.providers import LOADED, PROVIDERS
from usage_assets.providers.endpoint import Provider

__all__ = ["ENV_FILE", "SettingsError"]

ProviderName = Annotated[str, GetPydanticSchema(lambda *_: core_schema.literal_schema([*PROVIDERS]))]
PortRelationName = Literal["project", "user"]
OBJECT_STORES = ("s3", "gs", "abfs", "abfss")
"""Where files may be, besides this machine."""
S = TypeVar("S", bound=Scoped)
E = TypeVar("E", bound=BaseModel)


class MissingKeyError(SettingsError):
    """A run needs a secret that is not configured."""


@dataclass(frozen=True)
class KeyReference:
    """Where a secret is: ``env:NAME`` or ``file:PATH``. Read when it is used, never stored or shown."""

    scheme: Literal["env", "file"]
    place: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reference; anything else may be a secret itself and is refused without being repeated."""
        scheme, _, place = text.partition(":")
        if scheme not in ("env", "file") or not place or (scheme == "env" and not place.isidentifier()):
            raise ValueError("write env:NAME or file:PATH; a key itself does not belong in this file")
        return cls("env" if scheme == "env" else "file", place)

    def read(self, env: Mapping[str, str]) -> str | None:
        """Return the secret, or None where there is none. Raises OSError or ValueError for a file that is not text."""
        if self.scheme == "env":
            return env.get(self.place, "").strip() or None
        path = Path(self.place).expanduser()
        return (path.read_text(ENCODING).strip() or None) if path.is_file() else None

    def __str__(self) -> str:
        return self.place if self.scheme == "env" else f"file {self.place}"


@dataclass(frozen=True)
class FilesKept:
    """For how long files are kept where they are read: days or months."""

    count: int
    unit: Literal["days", "months"]

    @classmethod
    def parse(cls, text: str) -> Self:
        stated = re.fullmatch(r"([1-9]\d{0,3}) (day|month)s?", text)
        if not stated:
            raise ValueError('write it as "13 months" or "400 days"')
        return cls(int(stated[1]), "days" if stated[2] == "day" else "months")

    @property
    def first_day(self) -> date:
        """The first day whose files should still be there."""
        today = utc_today()
        if self.unit == "days":
            return date.fromordinal(max(today.toordinal() - self.count, 1))
        month = max(today.year * 12 + today.month - 1 - self.count, 12)
        first = date(month // 12, month % 12 + 1, 1)
        return min(first + (today.day - 1) * DAY, end_of_month(first))

    def __str__(self) -> str:
        return f"{self.count} {self.unit}"


@dataclass(frozen=True)
class Connection:
    """One provider organization or ChatGPT workspace, with what is needed to ask it."""

    name: str
    provider: str
    key_reference: KeyReference | None
    """None: its provider needs no key."""
    key: SecretStr | None
    base_url: str
    """Where it is asked, or where its files are."""
    start_date: date
    people: Policy = "ids"
    ids: Mapping[str, str] = field(default_factory=dict)
    """Whose usage is fetched, by the provider's kind of id (``organization``, ``workspace_id``). Only ids that are
    set."""
    endpoints: Mapping[str, bool] = field(default_factory=dict)
    """Endpoints that are switched on or off here, whatever their default is."""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Only usage of these is fetched, from the endpoints that have such a filter."""
    requests_per_second: float | None = None
    settling_days: int | None = None
    """How many days after a day's end the provider may still revise it; None: as its declaration says."""
    keeps: FilesKept | None = None
    """For how long its files are kept where they are; None: nobody says."""
    kept_months: int | None = None
    """Days of this many months before the current month are kept; None: all days."""
    owners: Sequence[str] = ()
    """Teams and people who own its assets, in Dagster's form (``team:NAME`` or an email address)."""
    shard: str | None = None
    """The code locations with this USAGE_SHARD run it; None: those without one."""
    place: Callable[..., str] | None = field(default=None, repr=False, compare=False)
    """Names a field of it with file and line, where the connections file has it."""

    @property
    def has_access(self) -> bool:
        """Whether it can be fetched: it has its key, or needs none."""
        return self.key is not None or self.key_reference is None

    @property
    def is_configured(self) -> bool:
        """Whether someone has set it up, with or without a key. Others only show a newcomer the graph."""
        return self.has_access or self.place is not None

    @property
    def first_day(self) -> date:
        """The first day that it has today: its start, or the first one that is kept."""
        return max(self.start_date, first_kept(self.kept_months))

    def refusal(self, *keys: str, reason: str) -> SettingsError:
        where = self.place(*keys) if self.place else f"connection {self.name}: {'.'.join(keys)}"
        return SettingsError(f"{where}: {reason}")

    def required_key(self) -> str:
        """Return the key; empty where none is needed. Raises MissingKeyError with the place where it should be."""
        if self.key_reference is None:
            return ""
        if self.key is None:
            in_file = self.key_reference.scheme == "file"
            how = "write it into {}" if in_file else "set {} (for example in .env)"
            raise MissingKeyError(f"connection {self.name}: no key: {how.format(self.key_reference)}")
        return self.key.get_secret_value()


@dataclass(frozen=True)
class PortAccount:
    """The Port account that entities are pushed to."""

    base_url: str
    client_id: str
    client_secret: SecretStr

    @property
    def name(self) -> str:
        """Its stable id, as the ledgers have it; empty where the address is wrong, which each of its runs says."""
        try:
            return account_at(checked_url(self.base_url), self.client_id)
        except ValueError:
            return ""


def _usable_url(text: str) -> str:
    checked_url(text)
    return text


def _file_location(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if separator and scheme not in OBJECT_STORES:
        raise ValueError(f"write a path or one of {', '.join(f'{name}://' for name in OBJECT_STORES)}")
    if separator and ":" in rest.partition("@")[0] and "@" in rest:
        raise ValueError("has a secret in it; leave credentials to the environment")
    if not (rest if separator else text).strip("/ "):
        raise ValueError("write a file, a folder, a pattern or a prefix")
    return text if separator else str(Path(text).expanduser().absolute())


def _begun(day: date) -> date:
    if day > datetime.now(UTC).date():
        raise ValueError("is in the future")
    return day


def _owner(text: str) -> str:
    if not re.fullmatch(r"team:\S.*|[\w.%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}", text, re.ASCII):
        raise ValueError("write team:NAME or an email address")
    return text


def _not_only_dots(text: str) -> str:
    if text in (".", ".."):
        raise ValueError("is no identifier in Port")
    return text


def _as_float(number: object) -> object:
    return float(number) if isinstance(number, Decimal) else number


NAME = re.compile("[a-z][a-z0-9_]{0,39}")
"""A connection's name is the first part of asset keys and a folder of the archive."""
Name = Annotated[str, StringConstraints(pattern=f"^{NAME.pattern}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")]
"""It goes into a header or a path as it is."""
Values = Annotated[list[Annotated[str, StringConstraints(min_length=1)]], Field(min_length=1)]
PortBlueprint = Annotated[
    str, StringConstraints(pattern=r"^[\p{L}0-9@_.+:\\/-]+$", max_length=100), AfterValidator(_not_only_dots)
]
PortIdentifier = Annotated[
    str, StringConstraints(pattern=r"^[\p{L}0-9@_.+:\\/=-]+$", max_length=1000), AfterValidator(_not_only_dots)
]


PageUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$")]
"""Where people open a page. It is shown to them, so it has no password."""


class Filters(BaseModel):
    """The ``filters`` of a connection, called as the providers' parameters."""

    model_config = ConfigDict(extra="forbid")

    batch: StrictBool | None = None

    def parameters(self) -> dict[str, tuple[str, ...]]:
        given = self.model_dump(exclude_none=True, by_alias=True).items()
        return {name: (str(value).lower(),) if isinstance(value, bool) else tuple(value) for name, value in given}


FILTERS = {name for provider in PROVIDERS.values() for endpoint in provider.endpoints for name in endpoint.filter_names}
if TYPE_CHECKING:
    FilterTable = Filters
else:
    others = sorted(FILTERS - Filters.model_fields.keys())
    of_values = {f"of_{name}": (Values | None, Field(None, alias=name)) for name in others}  # pydantic refuses _name
    FilterTable = create_model("FilterTable", __base__=Filters, **of_values)


class ConnectionHead(BaseModel):
    """What every ``[[connection]]`` begins with."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    provider: ProviderName
    key: str | None = None
    base_url: Annotated[str, AfterValidator(_usable_url)] | None = None
    files: Annotated[str, AfterValidator(_file_location)] | None = None


IDS = tuple(dict.fromkeys(name for provider in PROVIDERS.values() for name in provider.ids))
"""Settings of a connection that say whose usage is fetched."""
if TYPE_CHECKING:
    IdentifiedConnection = ConnectionHead
else:
    IdentifiedConnection = create_model(
        "IdentifiedConnection", __base__=ConnectionHead, **dict.fromkeys(IDS, (Id | None, None))
    )


class ConnectionEntry(IdentifiedConnection):
    """One ``[[connection]]`` of the connections file."""

    start_date: Annotated[date, AfterValidator(_begun)] | None = None
    billed_from: date | None = None
    billed_until: date | None = None
    endpoints: dict[str, StrictBool] = Field(default_factory=dict)
    filters: FilterTable = Field(default_factory=FilterTable)
    people: Policy | None = None
    requests_per_second: Annotated[float | None, BeforeValidator(_as_float)] = Field(
        default=None, gt=0, strict=True, allow_inf_nan=False
    )
    settling_days: int | None = Field(default=None, ge=0, le=60, strict=True)
    """Less than any provider's look-back: a day that is not served any more cannot settle."""
    no_overlap_with: list[Name] = Field(default_factory=list)
    keeps: Annotated[str, AfterValidator(lambda text: FilesKept.parse(text) and text)] | None = None
    owners: list[Annotated[str, AfterValidator(_owner)]] = Field(default_factory=list)
    shard: Name | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        if self.billed_from and self.billed_until and self.billed_until < self.billed_from:
            raise ValueError(f"billed_until {self.billed_until} is before billed_from {self.billed_from}")
        return self


class PortRelation(BaseModel):
    """One ``[[port_relation]]`` of the connections file: to what in a blueprint of the users' own records relate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: PortRelationName = Field(alias="from")
    """What of a record it is about; the relation in Port is called the same."""
    blueprint: PortBlueprint
    targets: Annotated[Mapping[str, PortIdentifier], Field(min_length=1)] | None = Field(None, validate_default=True)
    """The provider's id, or an email address -> the entity there. None: the address is its identifier."""

    @field_validator("targets")
    @classmethod
    def _told_for_projects(cls, targets: Mapping[str, str] | None, info: ValidationInfo) -> Mapping[str, str] | None:
        if targets is None and info.data.get("name") == "project":
            raise ValueError("missing; of a project only its id is known: say which entity each id stands for")
        return targets

    def target(self, ids: Iterable[str | None]) -> str | None:
        """Return the entity that the first known of these ids stands for. A hashed address is no address."""
        known = [text for text in ids if text]
        if self.targets is None:
            return next((text for text in known if "@" in text), None)
        return next((self.targets[text] for text in known if text in self.targets), None)


class _Connections(BaseModel):
    connections: Sequence[ConnectionEntry] = ()
    port_relations: Sequence[PortRelation] = ()


class ConnectionsFile(Entries, _Connections):
    """The whole connections file. Its arrays of tables are called as the fields, without the s."""

    model_config = ConfigDict(alias_generator=lambda name: name.removesuffix("s"))


@cache
def whole_file() -> type[ConnectionsFile]:
    """Return the connections file with the sections that features add."""
    added: Any = {f"{name}s": (GenericAlias(Sequence, entry), ()) for name, entry in sections().items()}
    return create_model("ConnectionsFile", __base__=ConnectionsFile, **added)


def sections_in(content: ConnectionsFile) -> Sequence[str]:
    """Return those of these sections, which a file that is not there has not."""
    return [name.removesuffix("s") for name in type(content).model_fields if name not in ConnectionsFile.model_fields]


def _table_at(place: Sequence[str | int]) -> type[BaseModel]:
    """Return the table that stands at a place of the connections file, or that is repeated there."""
    table: Any = whole_file()
    for name in (key for key in place if isinstance(key, str)):
        fields = {field.alias or attribute: field for attribute, field in table.model_fields.items()}
        table = fields[name].annotation
        table = next(iter(get_args(table)), table)
    return cast("type[BaseModel]", table)


def _provider_variables() -> dict[str, tuple[object, object]]:
    """The variables of the default connections: field name -> type and default."""
    fields: dict[str, tuple[object, object]] = {}
    for provider in PROVIDERS.values():
        if provider.key_variable:
            fields[provider.key_variable.lower()] = (SecretStr | None, None)
        fields |= dict.fromkeys(map(str.lower, provider.id_variables.values()), (str | None, None))
        if provider.base_url_variable:
            fields[provider.base_url_variable.lower()] = (str | None, provider.base_url or None)
    return fields


if TYPE_CHECKING:
    ProviderSettings = BaseSettings
else:
    ProviderSettings = create_model("ProviderSettings", __base__=BaseSettings, **_provider_variables())


class Settings(ProviderSettings):
    """All settings, from the environment and ``.env``. Field names are the variables' names in lower case."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding=ENCODING,
        env_ignore_empty=True,
        extra="ignore",
        str_strip_whitespace=True,
    )

    port_client_id: str | None = None
    port_client_secret: SecretStr | None = None
    port_base_url: str = "https://api.getport.io"
    usage_warehouse: str = WAREHOUSE
    usage_warehouse_data: str | None = None
    usage_lake_days: int = Field(default=90, ge=1)
    usage_start_date: date = date(2025, 1, 1)
    usage_connections: Path | None = None
    usage_blueprints: Path | None = None
    usage_shard: Name | None = None
    usage_people: Policy = "ids"
    usage_hash_key: SecretStr | None = None
    usage_archive: Literal["off"] | Path | None = None
    usage_archive_max_mb: int = Field(default=4096, ge=1)
    usage_archive_max_days: int = Field(default=400, ge=1)
    usage_report: Path | None = None
    usage_schedule: str = "0 6 * * *"
    usage_lookback_days: int = Field(default=7, ge=1, le=186)
    usage_include_today: bool = False
    usage_backfill_history: bool = True
    usage_retention_months: int | None = Field(default=None, ge=3)
    """No fewer: the weekly schedule reads 31 days again, and a connection may settle 60 days after a day's end."""
    usage_history_days: int = Field(default=90, ge=7)
    usage_webhook_url: SecretStr | None = None
    usage_ui_url: PageUrl | None = None
    usage_report_url: PageUrl | None = None
    usage_digest: bool = False
    usage_push_minutes: int = Field(default=0, ge=0, le=1440)

    _guest_folder: Path | None = PrivateAttr(default=None)
    _tables: TomlFile | None = PrivateAttr(default=None)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment. Raises SettingsError or BlueprintError, one line for the first thing that is wrong."""
        try:
            settings = cls(**overrides)
        except (OSError, UnicodeDecodeError) as error:
            raise unreadable(error) from None
        except ValidationError as error:
            first = error.errors()[0]
            variable = str(first["loc"][0]).upper() if first["loc"] else "settings"
            raise SettingsError(f"{variable}: {first['msg']} (set in the environment or .env)") from None
        settings.own_blueprints()  # declares their tables, which whatever looks into the warehouse must know
        return settings

    def as_guest(self, tables: TomlFile | None, folder: Path) -> Self:
        """Have no connections but those of the connections file, or of tables in its place, whatever keys are set; and
        a folder of one's own for what is kept beside the warehouse."""
        self._guest_folder, self._tables = folder, tables
        return self

    @property
    def folder(self) -> Path:
        """Where that is kept."""
        return self._guest_folder or self.warehouse.folder

    @property
    def first_day(self) -> date:
        """The first day that has a partition today: USAGE_START_DATE, or the first one that is kept."""
        return max(self.usage_start_date, first_kept(self.usage_retention_months))

    @property
    def warehouse(self) -> WarehouseAddress:
        """Where the warehouse is. Raises SettingsError for a lake whose files are nowhere, or that names a password."""
        return address_of(self.usage_warehouse, self.usage_warehouse_data)

    @property
    def archive_path(self) -> Path | None:
        """The folder of archived answers, absolute: ``raw`` next to the database file unless it is set. None: off."""
        if self.usage_archive == "off":
            return None
        folder = self.usage_archive or self.folder / "raw"
        return folder.expanduser().absolute()

    @property
    def report_path(self) -> Path:
        """The page that a run writes, absolute: ``report.html`` next to the database file unless it is set."""
        return (self.usage_report or self.folder / "report.html").expanduser().absolute()

    @property
    def shapes_path(self) -> Path:
        """The file that remembers what was captured, next to the database file."""
        return self.folder / "captured_shapes.json"

    @property
    def forgotten_path(self) -> Path:
        """The file of what stands for forgotten people, next to the database file."""
        return self.folder / "forgotten.json"

    @property
    def webhook_url(self) -> str | None:
        """Where failed runs and checks are posted, or None. Raises SettingsError, which does not repeat the address."""
        if self.usage_webhook_url is None:
            return None
        url = self.usage_webhook_url.get_secret_value()
        try:
            checked_url(url)
        except ValueError:
            shape = "must look like https://host/path, without user or password (http:// only on this machine)"
            raise SettingsError(f"USAGE_WEBHOOK_URL: {shape}") from None
        return url

    def redactor(self) -> Redactor:
        """What no text that leaves this machine may contain: every secret that is configured, and passwords of the
        environment. Of the webhook's address, that is what follows its host."""
        values = [getattr(self, name) for name in type(self).model_fields if name != "usage_webhook_url"]
        keys = [connection.key for connection in self.connections()]
        stated = [value.get_secret_value() for value in (*values, *keys) if isinstance(value, SecretStr)]
        path, words = parts_of_address(self.webhook_url or "")
        said = [each for provider in PROVIDERS.values() for each in provider.words]
        return Redactor([*stated, path, *secrets_of_environment()], [*said, *words])

    def run_link(self, run_id: str) -> str:
        """Where people find a run: its page in the UI where USAGE_UI_URL says where that is, otherwise its id."""
        return f"{self.usage_ui_url.rstrip('/')}/runs/{run_id}" if self.usage_ui_url else f"run {run_id}"

    def people(self, policy: Policy) -> People:
        """What is kept of people under a policy. Raises SettingsError where hashing has no key."""
        if policy == "hash" and not self.usage_hash_key:
            raise SettingsError("USAGE_PEOPLE=hash needs USAGE_HASH_KEY: any long random text that stays the same")
        hash_key = self.usage_hash_key.get_secret_value() if self.usage_hash_key else ""
        return People(policy, hash_key, self.forgotten())

    def forgotten(self) -> Forgotten:
        """Who was forgotten: read anew each time, because a code location runs for months. Raises SettingsError."""
        try:
            return Forgotten.load(self.forgotten_path)
        except ForgottenError as error:
            raise SettingsError(str(error)) from None

    @property
    def port_account(self) -> PortAccount | None:
        """The Port account, or None where Port is not configured. Raises SettingsError for half of one."""
        if self.port_client_id and self.port_client_secret:
            return PortAccount(self.port_base_url, self.port_client_id, self.port_client_secret)
        if self.port_client_id or self.port_client_secret:
            missing = "PORT_CLIENT_SECRET" if self.port_client_id else "PORT_CLIENT_ID"
            raise SettingsError(f"{missing}: not set, but the other half of Port's credentials is")
        return None

    def own_connections(self) -> tuple[Connection, ...]:
        """The connections that this code location runs: those of its shard, or without USAGE_SHARD those of none.

        Raises SettingsError for a shard that no connection is in.
        """
        connections = self.connections()
        own = tuple(connection for connection in connections if connection.shard == self.usage_shard)
        if self.usage_shard and not own:
            known = ", ".join(sorted({each.shard for each in connections if each.shard})) or "none"
            raise SettingsError(f"USAGE_SHARD: no connection has shard = {self.usage_shard!r}; known: {known}")
        return own

    def connections(self) -> tuple[Connection, ...]:
        """The connections of all code locations: the configured ones, or all defaults where none is."""
        defaults = () if self._guest_folder else tuple(self._default_connections())
        named = tuple(self._named_connections())
        keyed = tuple(connection for connection in defaults if connection.key)
        if not keyed and not named:
            return defaults
        names = {connection.name for connection in keyed}
        for connection in named:
            if connection.name in names:
                variable = PROVIDERS[connection.provider].key_variable
                reason = (
                    f"{variable} is set, which makes a connection of this name: rename this one or unset {variable}"
                )
                raise connection.refusal("name", reason=reason)
        return keyed + named

    def port_relations(self) -> tuple[PortRelation, ...]:
        """What records in Port relate to in users' own blueprints: at most one of each name. Raises SettingsError."""
        file, content = self._connections_file
        names = [relation.name for relation in content.port_relations]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise SettingsError(f"{file.place('port_relation', number, 'from')}: used twice; there is one of each")
        return tuple(content.port_relations)

    def entries(self, section: str, kind: type[E]) -> Sequence[tuple[str, Path, E]]:
        """The entries of a section that a feature adds: the place of each, the file's folder, and what is stated."""
        file, content = self._connections_file
        stated = enumerate(getattr(content, f"{section}s", ()))
        return [(file.place(section, n), file.path.parent, each) for n, each in stated if isinstance(each, kind)]

    @property
    def unread_sections(self) -> Sequence[str]:
        """One line for each section of the file that only a missing extension reads, and for each connection whose
        provider one has, with what to install."""
        file, _ = self._connections_file
        lines = [f"{file.place(name, 0)}: {reason}" for name, reason in _unread(file.content).items()]
        stated = file.using("connection", range(len(file.content.get("connection", ()))))
        for position, table in _left_out(file.content).items():
            if reason := LOADED.missing.get(table["provider"]):
                lines.append(f"{stated.place('connection', position, 'provider')}: {reason}")
        return lines

    @property
    def kept_connections(self) -> AbstractSet[str]:
        """The connections that such a section names, if it says what is sent to Port, and those whose provider one has.
        What they have in Port stays as it is: what a push would have to send is not known."""
        content = self._connections_file[0].content
        unread = _unread(content).keys() & sending_sections()
        tables = [table for name in unread for table in content[name] if isinstance(table, dict)]
        named = {str(table["connection"]) for table in tables if "connection" in table}
        missing = (table for table in _left_out(content).values() if table["provider"] in LOADED.missing)
        return named | {str(table.get("name")) for table in missing}

    def own_blueprints(self) -> Sequence[OwnBlueprint]:
        """The users' own blueprints. Raises BlueprintError for the first mistake in their files."""
        return read_blueprints(self.usage_blueprints.expanduser()) if self.usage_blueprints else ()

    def accounting(self) -> Accounting:
        """What the connections file says about money. Raises SettingsError where two entries contradict each other."""
        connections = {connection.name: connection for connection in self.connections()}
        file, content = self._connections_file
        entries = {entry.name: entry for entry in content.connections}
        known = [
            ConfiguredConnectionRow(
                connection=name,
                provider=connection.provider,
                people=connection.people,
                people_ids=PROVIDERS[connection.provider].people_ids,
                organization=connection.ids.get("organization"),
                billed_from=entries[name].billed_from if name in entries else None,
                billed_until=entries[name].billed_until if name in entries else None,
            )
            for name, connection in sorted(connections.items())
        ]
        policies = {name: connection.people for name, connection in connections.items()}
        owners = [
            (number, owner) for number, entry in enumerate(content.owners) for owner in self._as_stored(entry, policies)
        ]
        _refuse_unknown_or_repeated(file, content, owners, [*policies], self.left_out_connections)
        _refuse_two_periods(file, content.budgets)
        _refuse_shared_identity(file, content.persons)
        _refuse_untagged(file, content.tag_allocations, connections)
        stored = {
            "owners": [owner for _, owner in owners],
            "budgets": [*self._scoped(file, "budget", content.budgets, policies)],
            "models": _named_once(file, content.models),
            "persons": (),
        }
        added = {each: [*self._added(file, each, content, policies)] for each in sections_in(content)}
        return Accounting(
            **{kind: getattr(content, kind) for kind in Entries.model_fields} | stored,
            added=added,
            people=person_rows(content.persons, policies, self.people),
            connections=known,
            separate_bills=[*_separate_bills(file, content)],
        )

    def stated_with(self, known: Collection[str]) -> Iterator[str]:
        """Yield the logins, ids and addresses of each person of the connections file who has one of these."""
        _, content = self._connections_file
        these = {text.lower() for text in known}
        names = {entry.name for entry in content.persons if these & {text.lower() for *_, text in entry.identities}}
        yield from (text for entry in content.persons if entry.name in names for *_, text in entry.identities)

    def _as_stored(self, owner: Owner, policies: Mapping[str, Policy]) -> Iterator[Owner]:
        """Yield the owner of what costs call it: of a connection that hashes addresses they have none."""
        kind, stated = owner.owned
        concerned = [policy for name, policy in policies.items() if owner.connection in (None, name)]
        for name in self._names_in_costs(stated, concerned):
            yield owner.model_copy(update={kind: name})

    def _added(
        self, file: TomlFile, section: str, content: ConnectionsFile, policies: Mapping[str, Policy]
    ) -> Iterator[Entry]:
        """Yield the entries about money of a section that a feature adds. Raises SettingsError as the next one."""
        entries = getattr(content, f"{section}s")
        scoped = [each for each in entries if isinstance(each, Scoped)]
        yield from self._scoped(file, section, scoped, policies)
        yield from (each for each in entries if isinstance(each, Entry) and not isinstance(each, Scoped))

    def _scoped(self, file: TomlFile, table: str, entries: Iterable[S], policies: Mapping[str, Policy]) -> Iterator[S]:
        """Yield the entries with users and keys as costs call them. Raises SettingsError where costs have two names."""
        for number, entry in enumerate(entries):
            kind, stated = entry.scope
            if stated is None or kind not in ("user", "api_key"):
                yield entry
                continue
            if len(names := self._names_in_costs(stated, policies.values())) > 1:
                reason = "some connections hash addresses, others keep them: name an id"
                raise SettingsError(f"{file.place(table, number, kind)}: {reason}")
            yield entry.model_copy(update={kind: names[0]})

    def _names_in_costs(self, stated: str, policies: Iterable[Policy]) -> Sequence[str]:
        """Return what costs call a person or a key: under some policies not by an address."""
        return sorted({self.people(policy).in_name(stated) for policy in policies}) if "@" in stated else [stated]

    @property
    def states_connections(self) -> bool:
        """Whether there is a connections file, or something in its place."""
        return self._tables is not None or self.usage_connections is not None

    @property
    def left_out_connections(self) -> Collection[str]:
        """The connections of the file whose provider is not loaded. Everything else works without them."""
        return [str(table.get("name")) for table in _left_out(self._connections_file[0].content).values()]

    @cached_property
    def _connections_file(self) -> tuple[TomlFile, ConnectionsFile]:
        """The file and what it says: nothing, where there is none."""
        if self._tables:
            return _checked(self._tables)
        if self.usage_connections:
            return _read_connections(self.usage_connections)
        return TomlFile(Path(), ""), ConnectionsFile()

    def _default_connections(self) -> Iterator[Connection]:
        for name, provider in PROVIDERS.items():
            if provider.key_variable is None:
                continue
            ids = {each: self._value_of(variable) for each, variable in provider.id_variables.items()}
            yield Connection(
                name=name,
                provider=name,
                key_reference=KeyReference("env", provider.key_variable),
                key=self._value_of(provider.key_variable),
                base_url=self._value_of(provider.base_url_variable),
                start_date=self.usage_start_date,
                kept_months=self.usage_retention_months,
                people=self.usage_people,
                ids={each: value for each, value in ids.items() if value},
            )

    def _named_connections(self) -> Iterator[Connection]:
        environment = os.environ if self._guest_folder else _environment()
        file, content = self._connections_file
        names: set[str] = set()
        for number, entry in enumerate(content.connections):
            place = partial(file.place, "connection", number)
            if entry.name in names:
                raise SettingsError(f"{place('name')}: used twice; names are the first part of asset keys")
            names.add(entry.name)
            if entry.name in PROVIDERS and entry.name != entry.provider:
                # the default names are the only ones whose entities have identifiers without a prefix
                raise SettingsError(f"{place('name')}: not for provider {entry.provider}: choose another one")
            provider = PROVIDERS[entry.provider]
            _refuse_misplaced(entry, provider, place)
            try:
                reference = None if entry.key is None else KeyReference.parse(entry.key)
                key = reference.read(environment) if reference else None
            except (OSError, ValueError) as error:
                raise SettingsError(f"{place('key')}: {error}") from None
            base_url = entry.files or entry.base_url or self._value_of(provider.base_url_variable)
            if not base_url:
                reason = f"missing; a connection of provider {entry.provider} needs it, or {provider.base_url_variable}"
                raise SettingsError(f"{place('base_url')}: {reason}")
            if entry.people == "hash" and not self.usage_hash_key:
                raise SettingsError(f"{place('people')}: hash needs USAGE_HASH_KEY in the environment or .env")
            yield Connection(
                name=entry.name,
                provider=entry.provider,
                key_reference=reference,
                key=SecretStr(key) if key else None,
                base_url=base_url,
                start_date=max(entry.start_date or self.usage_start_date, self.usage_start_date),
                people=entry.people or self.usage_people,
                ids={each: value for each in IDS if (value := getattr(entry, each))},
                endpoints=entry.endpoints,
                filters=entry.filters.parameters(),
                requests_per_second=entry.requests_per_second,
                settling_days=entry.settling_days,
                keeps=FilesKept.parse(entry.keeps) if entry.keeps else None,
                kept_months=self.usage_retention_months,
                owners=entry.owners,
                shard=entry.shard,
                place=place,
            )

    def _value_of(self, variable: str) -> Any:
        return getattr(self, variable.lower())


def _refuse_misplaced(entry: ConnectionEntry, provider: Provider, place: Callable[..., str]) -> None:
    """Raise SettingsError unless the entry says where to ask, as its provider needs it."""
    needed, others = (
        ("files", ("key", "base_url")) if provider.reads_files else ("key", ("files", "keeps", "no_overlap_with"))
    )
    if getattr(entry, needed) is None:
        raise SettingsError(f"{place(needed)}: missing; a connection of provider {entry.provider} needs it")
    if misplaced := next((name for name in others if getattr(entry, name)), None):
        raise SettingsError(f"{place(misplaced)}: a connection of provider {entry.provider} has none")


def _separate_bills(file: TomlFile, content: ConnectionsFile) -> Iterator[SeparateBillRow]:
    """Yield the connections whose bills share no charge. Raises SettingsError for one that reads no such files."""
    bills = {entry.name: entry.provider for entry in content.connections if PROVIDERS[entry.provider].reads_files}
    for number, entry in enumerate(content.connections):
        for position, other in enumerate(entry.no_overlap_with):
            known = [name for name, provider in bills.items() if name != entry.name and provider == entry.provider]
            if other not in known:
                place = file.place("connection", number, "no_overlap_with", position)
                reason = f"{other!r} is no other connection of provider {entry.provider}"
                raise SettingsError(f"{place}: {reason} (there is {', '.join(known) or 'none'})")
            yield SeparateBillRow(connection=entry.name, other=other)


def _environment() -> dict[str, str]:
    """What ``env:NAME`` is looked up in: ``.env`` and, before it, the environment, as for all other variables."""
    return {name: value for source in (env_file(), os.environ) for name, value in source.items() if value}


def own_variables(settings: Settings) -> set[str]:
    """Return the names of all variables that the project reads: its settings, and the keys that connections name."""
    references = (connection.key_reference for connection in settings.connections())
    keys = {reference.place for reference in references if reference and reference.scheme == "env"}
    return {name.upper() for name in Settings.model_fields} | keys


def contradicted_variables(settings: Settings) -> Sequence[str]:
    """Return the names of variables that ``.env`` and the environment state differently.

    Dagster lets the file win, also where it is empty; commands let the environment win.
    """
    stated = {name: value or "" for name, value in env_file().items()}
    names = (own_variables(settings) | {"DAGSTER_HOME"}) & stated.keys() & os.environ.keys()
    return sorted(name for name in names if os.environ[name] != stated[name])


def forget_exported_env_file(settings: Settings) -> None:
    """Remove from this process's environment what is only a copy of ``.env``.

    Dagster exports the file into its code server, and each run inherits that environment. The environment wins over the
    file, so without this a run would use a key that was replaced in the file since the code server started.
    """
    exported = env_file()
    for name in own_variables(settings) & exported.keys() & os.environ.keys():
        if os.environ[name] == exported[name]:
            del os.environ[name]


def _named_once(file: TomlFile, entries: Sequence[ModelName]) -> Sequence[ModelName]:
    """Return the entries. Raises SettingsError where two of them, or one twice, state a name of a provider."""
    stated: dict[tuple[str | None, str], int] = {}
    for number, entry in enumerate(entries):
        for name in entry.as_sent:
            if (before := stated.setdefault((entry.provider, name), number)) != number or entry.as_sent.count(name) > 1:
                place, other = file.place("model", number, "as_sent"), file.place("model", before)
                raise SettingsError(f"{place}: {name!r} is in {other}, too: state it once")
    return entries


def _refuse_unknown_or_repeated(
    file: TomlFile,
    content: Entries,
    owners: Sequence[tuple[int, Owner]],
    connections: Sequence[str],
    left_out: Collection[str],
) -> None:
    """Raise SettingsError for an entry about no connection, and for two of one subject that cover the same day."""
    for kind, declared in type(content).model_fields.items():
        table = str(declared.alias)
        entries = [(number, entry) for number, entry in enumerate(getattr(content, kind)) if isinstance(entry, Entry)]
        for number, entry in entries:
            for key in ("connection", "gateway"):
                if (name := getattr(entry, key, None)) and name not in (*connections, *left_out):
                    reason = f"unknown; the connections are {', '.join(sorted(connections))}"
                    raise SettingsError(f"{file.place(table, number, key)}: {reason}")
        unique = [(number, entry) for number, entry in entries if isinstance(entry, Unique)]
        for comparable in _comparable(owners) if kind == "owners" else [unique]:
            for later, former in repeated([entry for _, entry in comparable]):
                place, other = (file.place(table, comparable[position][0]) for position in (later, former))
                own_days = ", or give each days of its own (valid_from, valid_until)"
                what_to_do = f"remove one{own_days if isinstance(entries[0][1], Dated) else ''}"
                raise SettingsError(f"{place}: says again what {other} says: {what_to_do}")


def _refuse_two_periods(file: TomlFile, budgets: Sequence[Budget]) -> None:
    for number, budget in enumerate(budgets):
        for before, named in enumerate(budgets[:number]):
            if budget.name == named.name and budget.period != named.period:
                raise SettingsError(
                    f"{file.place('budget', number, 'period')}: {file.place('budget', before)} has the same name "
                    f"and is for each {named.period}: choose another name"
                )


def _refuse_shared_identity(file: TomlFile, persons: Sequence[Person]) -> None:
    if shared := shared_identity(persons):
        number, of_field, position, before = shared
        place, other = file.place("person", number, of_field, position), file.place("person", before)
        what_to_do = "give it to one of them, or give both entries one name"
        raise SettingsError(f"{place}: {other} has it under another name: {what_to_do}")


def _refuse_untagged(
    file: TomlFile, allocations: Sequence[TagAllocation], connections: Mapping[str, Connection]
) -> None:
    for number, entry in enumerate(allocations):
        gateway = connections.get(entry.gateway)
        if gateway is None:  # it is left out
            continue
        tags = PROVIDERS[gateway.provider].tags
        if not tags or not gateway.endpoints.get(tags):
            reason = f"switch its endpoint {tags} on" if tags else "its provider reports no tags by model"
            raise SettingsError(f"{file.place('tag_allocation', number, 'gateway')}: {gateway.name}: {reason}")


def _comparable(owners: Sequence[tuple[int, Owner]]) -> Iterator[Sequence[tuple[int, Owner]]]:
    """Yield the owners that concern each connection: those without one concern all of them."""
    for connection in dict.fromkeys(owner.connection for _, owner in owners):
        yield [(number, owner) for number, owner in owners if owner.connection in (None, connection)]


def _left_out(content: Mapping[str, Any]) -> Mapping[int, Mapping[str, Any]]:
    """Return the connections whose provider is not loaded, which the doctor says: position -> what is stated."""
    unusable, connections = {*LOADED.known}.difference(PROVIDERS), content.get("connection")
    tables = connections if unusable and isinstance(connections, list) else []
    return {
        position: table
        for position, table in enumerate(tables)
        if isinstance(table, dict) and table.get("provider") in unusable
    }


def _unread(content: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the sections that only a missing extension reads, with what to do about it."""
    return {name: reason for name, reason in missing_sections().items() if isinstance(content.get(name), list)}


def _read_connections(path: Path) -> tuple[TomlFile, ConnectionsFile]:
    try:
        return _checked(TomlFile.read(path))
    except OSError as error:
        raise SettingsError(f"USAGE_CONNECTIONS: {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of thousands of digits
        raise SettingsError(f"USAGE_CONNECTIONS: {path}: not a TOML file: {error}") from None


def _checked(file: TomlFile) -> tuple[TomlFile, ConnectionsFile]:
    """Return the file with what it says. Raises SettingsError for the first thing that is wrong."""
    try:
        if left_out := _left_out(file.content):
            file = file.using("connection", [n for n in range(len(file.content["connection"])) if n not in left_out])
        unread = _unread(file.content)
        used = {name: stated for name, stated in file.used_content.items() if name not in unread}
        return file, whole_file().model_validate(used)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        reason = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            known = (field.alias or name for name, field in _table_at(first["loc"][:-1]).model_fields.items())
            reason = f"unknown; known: {', '.join(known)}"
        elif len(first["loc"]) == 1:
            reason = f"write [[{first['loc'][0]}]]"
        raise SettingsError(f"{file.place(*first['loc'])}: {reason}") from None
