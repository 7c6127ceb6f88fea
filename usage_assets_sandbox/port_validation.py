"""What the emulated Port accepts: request schemas, blueprint definitions, an entity against its blueprint.

Pure checks over parsed JSON, after Port's published API reference. State and routes are in `port`, search rules in
`port_search`.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

JsonObject = dict[str, Any]
T = TypeVar("T")

STATUS_OF = {
    "bad_request": 400,
    "unauthorized": 401,
    "not_found": 404,
    "has_dependents": 409,
    "identifier_taken": 409,
    "request_too_large": 413,
    "unsupported_media_type": 415,
    "blueprint_schema_mismatch": 422,
    "invalid_request": 422,
    "relation_many_violation": 422,
    "required_relation": 422,
    "too_many_requests": 429,
}


class PortError(Exception):
    """A refusal, with the code that Port's clients see in `error`."""

    def __init__(self, error: str, message: str) -> None:
        """`error` is one of `STATUS_OF`."""
        super().__init__(message)
        self.status = STATUS_OF[error]
        self.error = error
        self.message = message

    def body(self) -> JsonObject:
        """The body of a refused call."""
        return {"ok": False, "error": self.error, "message": self.message}

    def entity_error(self, identifier: str, index: int) -> JsonObject:
        """One item of `errors` in a 207; `index` is the entity's position in the request."""
        return {
            "identifier": identifier,
            "index": index,
            "statusCode": self.status,
            "error": self.error,
            "message": self.message,
        }


def converted(value: object, model: type[T], where: str = "") -> T:
    """`value` as `model`, or the 422 of a request that does not match the route's schema."""
    try:
        return msgspec.convert(value, model)
    except msgspec.ValidationError as error:
        raise PortError("invalid_request", f"{where}: {error}" if where else str(error)) from error


# Identifiers and keys

ENTITY_IDENTIFIER_SYMBOLS = frozenset("0123456789@_.+:\\/=-")
BLUEPRINT_IDENTIFIER_SYMBOLS = ENTITY_IDENTIFIER_SYMBOLS - {"="}
KEY = re.compile(r"[A-Za-z0-9@_=\\-]{1,100}")


def _is_identifier(text: str, symbols: frozenset[str], length: int) -> bool:
    # str.isalpha is Unicode category L, which is the \p{L} of the published pattern; `re` has no such class.
    return 0 < len(text) <= length and text not in {".", ".."} and all(c.isalpha() or c in symbols for c in text)


def check_entity_identifier(identifier: str) -> None:
    """`^(?!\\.{1,2}$)[\\p{L}0-9@_.+:\\\\/=-]+$`, at most 1000 characters; else ValueError."""
    if not _is_identifier(identifier, ENTITY_IDENTIFIER_SYMBOLS, 1000):
        raise ValueError(f"identifier {identifier[:120]!r} does not match the pattern or is longer than 1000")


def check_blueprint_identifier(identifier: str) -> None:
    """Like an entity's, but without `=` and at most 100 characters; else ValueError."""
    if not _is_identifier(identifier, BLUEPRINT_IDENTIFIER_SYMBOLS, 100):
        raise ValueError(f"identifier {identifier[:120]!r} does not match the pattern or is longer than 100")


def _check_keys(keys: Iterable[str], section: str) -> None:
    for key in keys:
        if not KEY.fullmatch(key):
            raise ValueError(f"key {key[:120]!r} of {section} does not match the pattern or is longer than 100")


# Request bodies


class Request(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """A request schema without additional properties."""


class Credentials(Request):
    """Body of POST /auth/access_token: exactly these two."""

    client_id: str
    client_secret: str


class EntityPatch(Request):
    """Body of PATCH of one entity; what is absent stays UNSET."""

    identifier: str | UnsetType = UNSET
    blueprint: str | UnsetType = UNSET
    title: str | UnsetType | None = UNSET
    icon: str | UnsetType | None = UNSET
    team: str | list[str] | UnsetType | None = UNSET
    properties: JsonObject | UnsetType = UNSET
    relations: dict[str, str | list[str] | None] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Check the patterns that `Meta` cannot express."""
        if self.identifier is not UNSET:
            check_entity_identifier(self.identifier)
        if self.properties is not UNSET:
            _check_keys(self.properties, "properties")
        if self.relations is not UNSET:
            _check_keys(self.relations, "relations")
            for target in self.relations.values():
                for identifier in related_identifiers(target):
                    check_entity_identifier(identifier)

    def given(self) -> JsonObject:
        """The fields that the request names, `team` always as a list."""
        fields = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not UNSET}
        if "team" in fields:
            fields["team"] = related_identifiers(fields["team"])
        return fields


class EntityPut(EntityPatch):
    """Body of PUT of one entity: unlike a patch it has no nulls outside properties and relations."""

    title: str | UnsetType = UNSET
    icon: str | UnsetType = UNSET
    team: str | list[str] | UnsetType = UNSET


class EntityBody(EntityPut, kw_only=True):
    """One entity of a create or upsert call: it names itself."""

    identifier: str


class EntitiesBody(Request):
    """Body of a bulk upsert: 1 to 20 entities."""

    entities: Annotated[list[EntityBody], Meta(min_length=1, max_length=20)]


class IdentifiersBody(Request):
    """Body of a bulk delete: 1 to 100 identifiers."""

    entities: Annotated[list[str], Meta(min_length=1, max_length=100)]


Flag = Literal["true", "false"]


class Parameters(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A route's query parameters; as such, none."""


class CreateBlueprintParameters(Parameters):
    """Query of POST /blueprints."""

    create_catalog_page: Flag = "true"


class DeleteBlueprintParameters(Parameters):
    """Query of DELETE /blueprints/{id}."""

    delete_actions: Flag = "false"


class WriteParameters(Parameters):
    """Query of PATCH and PUT of one entity. Ocean adds its own two to every write."""

    create_missing_related_entities: Flag = "false"
    run_id: str | UnsetType = UNSET
    ocean_info_event_type: str | UnsetType = UNSET
    ocean_info_resync_id: str | UnsetType = UNSET


class UpsertParameters(WriteParameters, kw_only=True):
    """Query of the single and the bulk upsert; `merge` has a meaning only with `upsert`."""

    upsert: Flag
    merge: Flag = "false"
    validation_only: Flag = "false"


class DeleteParameters(Parameters, kw_only=True):
    """Query of the single and the bulk delete."""

    delete_dependents: Flag
    run_id: str | UnsetType = UNSET


class DeleteAllParameters(Parameters):
    """Query of DELETE /blueprints/{id}/all-entities."""

    delete_blueprint: Flag = "false"
    run_id: str | UnsetType = UNSET


class SearchParameters(Parameters):
    """Query of POST /entities/search."""

    include: str | list[str] | None = None
    exclude: str | list[str] | None = None
    allow_partial_results: Flag = "false"
    exclude_calculated_properties: Flag = "false"


def related_identifiers(value: str | list[str] | None) -> list[str]:
    """A single value, a list or nothing, as a list."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


# Formats

DATE = re.compile(r"\d{4}-\d\d-\d\d")
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9-]+")
IDN_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def is_date(text: str) -> bool:
    """A day of the calendar, YYYY-MM-DD."""
    return DATE.fullmatch(text) is not None and _parses(date.fromisoformat, text)


def is_date_time(text: str) -> bool:
    """RFC 3339 with a time and an offset; a bare day is not one."""
    return DATE_TIME.fullmatch(text) is not None and _parses(datetime.fromisoformat, text)


def _is_url(text: str) -> bool:
    if any(c.isspace() for c in text) or not _parses(urlsplit, text):
        return False
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and parts.netloc != ""


def _is_text(_: str) -> bool:
    return True


# `date` is not among the published formats, yet Port's own Codex blueprints use it: a switch of the sandbox decides.
DISPUTED_FORMAT = "date"
FORMATS: Mapping[str, Callable[[str], bool]] = {
    DISPUTED_FORMAT: is_date,
    "blueprints": _is_text,
    "date-time": is_date_time,
    "email": lambda text: EMAIL.fullmatch(text) is not None,
    "idn-email": lambda text: IDN_EMAIL.fullmatch(text) is not None,
    "ipv4": lambda text: _parses(ipaddress.IPv4Address, text),
    "ipv6": lambda text: _parses(ipaddress.IPv6Address, text),
    "labeled-url": _is_text,
    "markdown": _is_text,
    "proto": _is_text,
    "team": _is_text,
    "timer": _is_text,
    "url": _is_url,
    "user": _is_text,
    "yaml": _is_text,
}
NOT_CALCULATED = {"blueprints", "timer"}
"""Formats of properties that a calculation cannot have."""


# Blueprints

PropertyType = Literal["string", "number", "boolean", "object", "array"]
Title = Annotated[str, Meta(max_length=100)]
Spec = Literal["open-api", "embedded-url", "async-api"]
Color = Literal[
    "blue", "turquoise", "orange", "purple", "pink", "yellow", "green", "red", "gold", "silver", "paleBlue",
    "darkGray", "lightGray", "bronze", "lime", "olive", "brown"
]  # fmt: skip


class Definition(Request):
    """What a property, a calculation and an aggregation have in common."""

    title: Title | UnsetType = UNSET
    description: str | UnsetType = UNSET
    icon: str | UnsetType = UNSET


class Items(Request):
    """What every item of an array is."""

    type: PropertyType
    format: str | UnsetType = UNSET


class PropertyDefinition(Definition, kw_only=True):
    """One entry of `schema.properties`. Port takes every JSON-schema keyword; one that nothing here checks is refused,
    so that no value passes for valid that Port would refuse.
    """

    type: PropertyType
    format: str | UnsetType = UNSET
    enum: list[Any] | UnsetType = UNSET
    enum_colors: dict[str, Color] | UnsetType = UNSET
    default: Any = UNSET
    items: Items | UnsetType = UNSET
    spec: Spec | UnsetType = UNSET
    spec_authentication: JsonObject | UnsetType = UNSET


class CalculationDefinition(Definition, kw_only=True):
    """One entry of `calculationProperties`; its jq text is kept, never run."""

    calculation: str
    type: PropertyType
    format: str | UnsetType = UNSET
    spec: Spec | UnsetType = UNSET
    spec_authentication: JsonObject | UnsetType = UNSET
    colorized: bool | UnsetType = UNSET
    colors: dict[str, Color] | UnsetType = UNSET
    items: Items | UnsetType = UNSET


AverageOf = Literal["hour", "day", "week", "month", "total"]


class CalculationSpec(Request, kw_only=True):
    """How entities become one number: counted, or one of their properties added up."""

    func: Literal["count", "average", "sum", "min", "max", "median"]
    calculation_by: Literal["entities", "property"]
    property: str | UnsetType = UNSET
    average_of: AverageOf | UnsetType = UNSET
    measure_time_by: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Check what belongs together."""
        averages, by_property = self.func == "average", self.calculation_by == "property"
        if not averages and (self.func == "count") == by_property:
            raise ValueError(f"func {self.func!r} does not go with calculationBy {self.calculation_by!r}")
        if (self.property is not UNSET) != by_property:
            raise ValueError("property goes with calculationBy 'property', and only with it")
        if (self.average_of is not UNSET) != averages or (self.measure_time_by is not UNSET and not averages):
            raise ValueError("averageOf goes with func 'average', measureTimeBy only with it")


class AggregationDefinition(Definition, kw_only=True):
    """One entry of `aggregationProperties`; kept, never computed."""

    title: Title
    target: str
    calculation_spec: CalculationSpec
    type: Literal["number"] | UnsetType = UNSET
    query: JsonObject | UnsetType = UNSET
    path_filter: Annotated[list[JsonObject], Meta(max_length=1)] | UnsetType = UNSET


class MirrorDefinition(Request):
    """One entry of `mirrorProperties`: relations and, last, a property, between dots."""

    path: Annotated[str, Meta(pattern=r"^([A-Za-z0-9@_=$-]+\.)+[^.]+$")]
    title: Title | UnsetType = UNSET


class RelationDefinition(Request):
    """One entry of `relations`."""

    target: str
    required: bool
    many: bool
    title: Title | UnsetType = UNSET
    description: str | UnsetType = UNSET
    type: str | UnsetType = UNSET


class BlueprintSchema(Request):
    """A blueprint's `schema`."""

    properties: JsonObject
    required: list[str] = msgspec.field(default_factory=list)


class BlueprintBody(msgspec.Struct, rename="camel", kw_only=True):
    """A blueprint; other top-level keys are let through, as published."""

    identifier: str
    title: Annotated[str, Meta(min_length=1, max_length=100)]
    schema: BlueprintSchema
    description: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    icon: str | UnsetType = UNSET
    calculation_properties: JsonObject = msgspec.field(default_factory=dict)
    mirror_properties: JsonObject = msgspec.field(default_factory=dict)
    aggregation_properties: JsonObject = msgspec.field(default_factory=dict)
    relations: JsonObject = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the patterns that `Meta` cannot express."""
        check_blueprint_identifier(self.identifier)
        for section, definitions, _ in self.sections():
            _check_keys(definitions, section)

    def sections(self) -> tuple[tuple[str, JsonObject, type[msgspec.Struct]], ...]:
        """Each part of the blueprint that defines keys, with the schema of one definition."""
        return (
            ("schema.properties", self.schema.properties, PropertyDefinition),
            ("calculationProperties", self.calculation_properties, CalculationDefinition),
            ("mirrorProperties", self.mirror_properties, MirrorDefinition),
            ("aggregationProperties", self.aggregation_properties, AggregationDefinition),
            ("relations", self.relations, RelationDefinition),
        )


def check_blueprint(raw: JsonObject, *, accept_date_format: bool) -> None:
    """Raise a 422 that names the first key at fault."""
    body = converted(raw, BlueprintBody)
    for section, definitions, model in body.sections():
        for key, definition in definitions.items():
            where = f"{section}.{key}"
            converted(definition, model, where)
            refused = NOT_CALCULATED if model is CalculationDefinition else set()
            refused = refused if accept_date_format else refused | {DISPUTED_FORMAT}
            for form in (definition.get("format"), definition.get("items", {}).get("format")):
                if form is not None and (form not in FORMATS or form in refused):
                    raise PortError("invalid_request", f"{where}: format {form!r} is not one of Port's")
    for key in body.schema.required:
        if key not in body.schema.properties:
            raise PortError("invalid_request", f"schema.required names {key!r}, which schema.properties does not have")


# Entities against their blueprint

# The exact types that the JSON decoder makes, so that a boolean is never a number.
TYPES_OF: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, Decimal),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def check_properties(properties: JsonObject, schema: JsonObject) -> None:
    """Raise the mismatch between an entity's properties and its blueprint's `schema`. Null is no value."""
    for key, value in properties.items():
        definition = schema["properties"].get(key)
        if definition is None:
            raise _mismatch(f'property "{key}" is not in the blueprint\'s schema')
        if value is not None:
            _check_value(key, value, definition)
    for key in schema.get("required", []):
        if properties.get(key) is None:
            raise _mismatch(f'required property "{key}" is missing')


def _check_value(key: str, value: object, definition: JsonObject) -> None:
    if type(value) not in TYPES_OF[definition["type"]]:
        raise _mismatch(f'property "{key}" must be {definition["type"]}')
    if "format" in definition and isinstance(value, str) and not FORMATS[definition["format"]](value):
        raise _mismatch(f'property "{key}" must match format "{definition["format"]}"')
    if "enum" in definition and value not in definition["enum"]:
        raise _mismatch(f'property "{key}" must be one of the allowed values')
    if "items" in definition and isinstance(value, list):
        for position, item in enumerate(value):
            _check_value(f"{key}[{position}]", item, definition["items"])


def check_relations(relations: JsonObject, definitions: JsonObject) -> None:
    """Raise the mismatch between an entity's relations and its blueprint's. Targets are not looked up."""
    for key, value in relations.items():
        if key not in definitions:
            raise _mismatch(f'relation "{key}" is not in the blueprint')
        if value is not None and definitions[key]["many"] != isinstance(value, list):
            kind = "an array of identifiers" if definitions[key]["many"] else "one identifier"
            raise PortError("relation_many_violation", f'relation "{key}" must be {kind}')
    for key, definition in definitions.items():
        if definition["required"] and not related_identifiers(relations.get(key)):
            raise PortError("required_relation", f'relation "{key}" is required')


def _mismatch(message: str) -> PortError:
    return PortError("blueprint_schema_mismatch", message)
