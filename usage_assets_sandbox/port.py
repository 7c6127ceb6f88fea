"""The emulated Port: its state, its routes under /v1, its rate limits, and the sandbox's switches for it.

What a request may contain is in `port_validation`, search rules and their pages in `port_search`, dashboards in
`port_pages`, scorecards in `port_scorecards`. As strict as Port's published API reference; where that is silent, the
stricter reading, marked [inferred]. Shares nothing with the product's own Port client.
"""

import math
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import unquote

import msgspec
from msgspec import UNSET, Meta
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from usage_assets_sandbox.credentials import PORT_CLIENT_ID, PORT_CLIENT_SECRET
from usage_assets_sandbox.port_pages import PageBody, check_references
from usage_assets_sandbox.port_scorecards import ScorecardBody, check_scorecard
from usage_assets_sandbox.port_search import (
    Query,
    SearchBody,
    dotted_names,
    page_of,
    predicate_of,
    projected,
    short_names,
)
from usage_assets_sandbox.port_validation import (
    CreateBlueprintParameters,
    Credentials,
    DeleteAllParameters,
    DeleteBlueprintParameters,
    DeleteParameters,
    EntitiesBody,
    EntityBody,
    EntityPatch,
    EntityPut,
    IdentifiersBody,
    JsonObject,
    Parameters,
    PortError,
    SearchParameters,
    UpsertParameters,
    WriteParameters,
    check_blueprint,
    check_properties,
    check_relations,
    converted,
    related_identifiers,
)

BODY_LIMIT = 1_048_576
ENCODER = msgspec.json.Encoder(decimal_format="number")
BLANK_ENTITY: JsonObject = {"title": None, "icon": None, "team": [], "properties": {}, "relations": {}}
BLANK_BLUEPRINT: JsonObject = {
    "calculationProperties": {},
    "mirrorProperties": {},
    "aggregationProperties": {},
    "relations": {},
}

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[int, Meta(ge=1)]
EntityKey = tuple[str, str]


class PortSettings(msgspec.Struct, forbid_unknown_fields=True):
    """The sandbox's switches for Port. Limits are calls per period; Port publishes no token lifetime."""

    accept_date_format: bool = False
    token_lifetime_seconds: Seconds = 3 * 60 * 60
    entities_limit: Count = 35_000
    other_limit: Count = 15_000
    unauthenticated_limit: Count = 100
    rate_limit_period_seconds: Seconds = 300


LimitName = Literal["entities_limit", "other_limit", "unauthenticated_limit"]


@dataclass
class RateWindow:
    """One period of one rate limit."""

    start: datetime
    end: datetime
    used: int = 0


class PortStore:
    """All state of the emulated Port, of one organization. `clock` returns an aware UTC datetime."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """An empty Port with the default switches."""
        self.clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget everything: catalog, tokens, rate limit counters, switches."""
        self.settings = PortSettings()
        self.token_ends: dict[str, datetime] = {}
        self.blueprints: dict[str, JsonObject] = {}
        self.entities: dict[str, dict[str, JsonObject]] = {}
        self.pages: dict[str, JsonObject] = {}
        self.scorecards: dict[str, dict[str, JsonObject]] = {}
        self.rate_windows: dict[LimitName, RateWindow] = {}

    def is_authorized(self, authorization: str) -> bool:
        """Whether the header carries a token that was issued here and has not ended."""
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and token in self.token_ends and self.clock() < self.token_ends[token]

    def count_call(self, limit_name: LimitName) -> dict[str, str]:
        """Count one call; the rate-limit headers of its answer, with `retry-after` only when it is over the limit."""
        now = self.clock()
        window = self.rate_windows.get(limit_name)
        if window is None or not window.start <= now < window.end:
            window = RateWindow(now, now + timedelta(seconds=self.settings.rate_limit_period_seconds))
            self.rate_windows[limit_name] = window
        window.used += 1
        limit: int = getattr(self.settings, limit_name)
        headers = {
            "x-ratelimit-period": str(self.settings.rate_limit_period_seconds),
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - window.used)),
            "x-ratelimit-reset": str(math.ceil(window.end.timestamp())),
        }
        if window.used > limit:
            headers["retry-after"] = str(math.ceil((window.end - now).total_seconds()))
        return headers

    def blueprint(self, identifier: str) -> JsonObject:
        """The blueprint, or a 404."""
        if identifier not in self.blueprints:
            raise PortError("not_found", f'Blueprint with identifier "{identifier}" was not found')
        return self.blueprints[identifier]

    def entity(self, blueprint: str, identifier: str) -> JsonObject:
        """The entity, or a 404 for it or its blueprint."""
        self.blueprint(blueprint)
        if identifier not in self.entities[blueprint]:
            raise PortError("not_found", f'Entity with identifier "{identifier}" of "{blueprint}" was not found')
        return self.entities[blueprint][identifier]

    def page(self, identifier: str) -> JsonObject:
        """The page, or a 404."""
        if identifier not in self.pages:
            raise PortError("not_found", f'Page with identifier "{identifier}" was not found')
        return self.pages[identifier]

    def scorecard(self, blueprint: str, identifier: str) -> JsonObject:
        """The scorecard, or a 404 for it or its blueprint."""
        self.blueprint(blueprint)
        found = self.scorecards.get(blueprint, {})
        if identifier not in found:
            raise PortError("not_found", f'Scorecard with identifier "{identifier}" of "{blueprint}" was not found')
        return found[identifier]

    def timestamp(self) -> str:
        """Now, as Port writes it."""
        return self.clock().isoformat(timespec="milliseconds").replace("+00:00", "Z")


# Calls: what a handler gets and gives

Q_co = TypeVar("Q_co", covariant=True)
B_co = TypeVar("B_co", covariant=True)
T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[Q_co, B_co]):
    """One checked request: the identifiers of its path, its query, its body, and who asks."""

    store: PortStore
    path: tuple[str, ...]
    query: Q_co
    body: B_co
    user_agent: str


class Reply(NamedTuple):
    """Status and JSON body of an answer."""

    status: int
    body: JsonObject


# Token


def issue_token(call: Call[Parameters, Credentials]) -> Reply:
    """POST /auth/access_token. There is no refresh: a client posts its credentials again."""
    if call.body != Credentials(client_id=PORT_CLIENT_ID, client_secret=PORT_CLIENT_SECRET):
        raise PortError("unauthorized", "clientId or clientSecret is wrong")
    lifetime = call.store.settings.token_lifetime_seconds
    token = secrets.token_urlsafe(32)
    call.store.token_ends[token] = call.store.clock() + timedelta(seconds=lifetime)
    return Reply(200, {"ok": True, "accessToken": token, "expiresIn": lifetime, "tokenType": "Bearer"})


# Blueprints


def list_blueprints(call: Call[Parameters, None]) -> Reply:
    """GET /blueprints."""
    return Reply(200, {"ok": True, "blueprints": list(call.store.blueprints.values())})


def create_blueprint(call: Call[CreateBlueprintParameters, JsonObject]) -> Reply:
    """POST /blueprints."""
    blueprint = _checked_blueprint(call.store, call.body)
    if blueprint["identifier"] in call.store.blueprints:
        raise PortError("identifier_taken", f'Blueprint with identifier "{blueprint["identifier"]}" already exists')
    call.store.entities[blueprint["identifier"]] = {}
    return Reply(201, {"ok": True, "blueprint": _stored_blueprint(call.store, blueprint)})


def get_blueprint(call: Call[Parameters, None]) -> Reply:
    """GET /blueprints/{id}."""
    return Reply(200, {"ok": True, "blueprint": call.store.blueprint(*call.path)})


def replace_blueprint(call: Call[Parameters, JsonObject]) -> Reply:
    """PUT /blueprints/{id}: the body is the whole blueprint, which need not repeat its identifier."""
    return _changed_blueprint(call, {"identifier": call.path[0]} | call.body)


def patch_blueprint(call: Call[Parameters, JsonObject]) -> Reply:
    """PATCH /blueprints/{id}: top-level keys are replaced whole, the stricter reading of an undocumented rule."""
    return _changed_blueprint(call, call.store.blueprint(*call.path) | call.body)


def delete_blueprint(call: Call[DeleteBlueprintParameters, None]) -> Reply:
    """DELETE /blueprints/{id}: refused while it has entities or another blueprint relates to it."""
    store, (identifier,) = call.store, call.path
    store.blueprint(identifier)
    if store.entities[identifier] or _is_target(store, identifier):
        raise PortError("has_dependents", f'Blueprint "{identifier}" has entities or is the target of a relation')
    _remove_blueprint(store, identifier)
    return Reply(200, {"ok": True})


def _remove_blueprint(store: PortStore, identifier: str) -> None:
    del store.blueprints[identifier], store.entities[identifier]
    store.scorecards.pop(identifier, None)


def _is_target(store: PortStore, identifier: str) -> bool:
    others = (blueprint for name, blueprint in store.blueprints.items() if name != identifier)
    return identifier in {relation["target"] for blueprint in others for relation in blueprint["relations"].values()}


def _changed_blueprint(call: Call[Parameters, JsonObject], raw: JsonObject) -> Reply:
    (identifier,) = call.path
    call.store.blueprint(identifier)
    blueprint = _checked_blueprint(call.store, raw)
    if blueprint["identifier"] != identifier:
        raise PortError("invalid_request", "the sandbox does not rename blueprints")
    return Reply(200, {"ok": True, "blueprint": _stored_blueprint(call.store, blueprint)})


def _checked_blueprint(store: PortStore, raw: JsonObject) -> JsonObject:
    check_blueprint(raw, accept_date_format=store.settings.accept_date_format)
    blueprint = BLANK_BLUEPRINT | raw
    for section in ("relations", "aggregationProperties"):
        for key, definition in blueprint[section].items():
            if definition["target"] not in {*store.blueprints, blueprint["identifier"]}:
                raise PortError("invalid_request", f"{section}.{key}: there is no blueprint {definition['target']!r}")
    return blueprint


def _stored_blueprint(store: PortStore, blueprint: JsonObject) -> JsonObject:
    former = store.blueprints.get(blueprint["identifier"], {})
    store.blueprints[blueprint["identifier"]] = blueprint | _authorship(store, former)
    return store.blueprints[blueprint["identifier"]]


def _authorship(store: PortStore, former: JsonObject) -> JsonObject:
    now = store.timestamp()
    return {
        "createdAt": former.get("createdAt", now),
        "createdBy": former.get("createdBy", PORT_CLIENT_ID),
        "updatedAt": now,
        "updatedBy": PORT_CLIENT_ID,
    }


# Entities: writing


def upsert_entity(call: Call[UpsertParameters, EntityBody]) -> Reply:
    """POST /blueprints/{id}/entities."""
    _check_own_blueprint(call, [call.body])
    return Reply(201, {"ok": True, "entity": _upserted(call, call.body)})


def upsert_entities(call: Call[UpsertParameters, EntitiesBody]) -> Reply:
    """POST /blueprints/{id}/entities/bulk: good entities are stored, the others are reported by their index."""
    _check_own_blueprint(call, call.body.entities)
    (blueprint,) = call.path
    entities: list[JsonObject] = []
    errors: list[JsonObject] = []
    for index, body in enumerate(call.body.entities):
        created = body.identifier not in call.store.entities[blueprint]
        try:
            _upserted(call, body)
        except PortError as error:
            errors.append(error.entity_error(body.identifier, index))
        else:
            entities.append({"created": created, "identifier": body.identifier, "index": index})
    return Reply(207 if errors else 200, {"ok": True, "entities": entities, "errors": errors})


def patch_entity(call: Call[WriteParameters, EntityPatch]) -> Reply:
    """PATCH /blueprints/{id}/entities/{id}: the fields that are named, property by property."""
    return _changed_entity(call, call.store.entity(*call.path))


def replace_entity(call: Call[WriteParameters, EntityPut]) -> Reply:
    """PUT /blueprints/{id}/entities/{id}: everything that is not named is lost."""
    return _changed_entity(call, BLANK_ENTITY)


def _changed_entity(call: Call[WriteParameters, EntityPatch], base: JsonObject) -> Reply:
    blueprint, identifier = call.path
    call.store.entity(blueprint, identifier)
    _check_own_blueprint(call, [call.body])
    if call.body.identifier not in {UNSET, identifier}:
        raise PortError("invalid_request", "the sandbox does not rename entities")
    return Reply(200, {"ok": True, "entity": _written(call, identifier, base, call.body.given())})


def _check_own_blueprint(call: Call[object, object], bodies: Iterable[EntityPatch]) -> None:
    blueprint = call.path[0]
    call.store.blueprint(blueprint)
    for body in bodies:
        if body.blueprint not in {UNSET, blueprint}:
            raise PortError("invalid_request", f"blueprint {body.blueprint!r} is not the one of the path")


def _upserted(call: Call[UpsertParameters, object], body: EntityBody) -> JsonObject:
    former = call.store.entities[call.path[0]].get(body.identifier)
    if former is not None and call.query.upsert == "false":
        raise PortError("identifier_taken", f'Entity with identifier "{body.identifier}" already exists')
    base = former if former is not None and call.query.merge == "true" else BLANK_ENTITY
    return _written(call, body.identifier, base, body.given(), store_it=call.query.validation_only == "false")


def _written(
    call: Call[WriteParameters, object], identifier: str, base: JsonObject, given: JsonObject, *, store_it: bool = True
) -> JsonObject:
    """The entity that `given` over `base` makes, checked as a whole before anything is stored."""
    store, key = call.store, (call.path[0], identifier)
    blueprint = store.blueprints[key[0]]
    properties = base["properties"] | given.get("properties", {})
    relations = base["relations"] | given.get("relations", {})
    check_properties(properties, blueprint["schema"])
    check_relations(relations, blueprint["relations"])
    missing = list(_missing_targets(store, key, relations, blueprint["relations"]))
    for related, name in missing:
        if call.query.create_missing_related_entities == "false":
            raise PortError("not_found", f'Related entity "{name}" of "{related}" was not found')
        # It is made of nothing but its identifier; that it must fit its own blueprint is [inferred].
        check_properties({}, store.blueprints[related]["schema"])
        check_relations({}, store.blueprints[related]["relations"])
    entity = _signed(call, key, base | given | {"properties": properties, "relations": relations})
    if store_it:
        for target in missing:
            store.entities[target[0]][target[1]] = _signed(call, target, BLANK_ENTITY | {"title": target[1]})
        store.entities[key[0]][key[1]] = entity
    return entity


def _missing_targets(
    store: PortStore, own: EntityKey, relations: JsonObject, definitions: JsonObject
) -> Iterator[EntityKey]:
    for key, value in relations.items():
        target = definitions[key]["target"]
        for identifier in related_identifiers(value):
            if (target, identifier) != own and identifier not in store.entities[target]:
                yield target, identifier


def _signed(call: Call[object, object], key: EntityKey, fields: JsonObject) -> JsonObject:
    """The fields with the entity's identity, its datasource (whoever wrote last) and its authorship."""
    blueprint, identifier = key
    former = call.store.entities[blueprint].get(identifier, {})
    own = {"identifier": identifier, "blueprint": blueprint, "$datasource": call.user_agent}
    return fields | own | _authorship(call.store, former)


# Entities: deleting


def delete_entity(call: Call[DeleteParameters, None]) -> Reply:
    """DELETE /blueprints/{id}/entities/{id}."""
    blueprint, identifier = call.path
    call.store.entity(blueprint, identifier)
    _delete(call, {(blueprint, identifier)})
    return Reply(200, {"ok": True})


def delete_entities(call: Call[DeleteParameters, IdentifiersBody]) -> Reply:
    """POST /blueprints/{id}/bulk/entities/delete. That none goes where one is missing is [inferred]."""
    (blueprint,) = call.path
    named = dict.fromkeys(call.body.entities)
    for identifier in named:
        call.store.entity(blueprint, identifier)
    _delete(call, {(blueprint, identifier) for identifier in named})
    return Reply(200, {"ok": True, "deletedEntities": list(named)})


def delete_all_entities(call: Call[DeleteAllParameters, None]) -> Reply:
    """DELETE /blueprints/{id}/all-entities. That nothing goes while others relate to it is [inferred]."""
    store, (blueprint,) = call.store, call.path
    store.blueprint(blueprint)
    goes_too = call.query.delete_blueprint == "true"
    doomed = {(blueprint, identifier) for identifier in store.entities[blueprint]}
    if _dependents(store, doomed) or (goes_too and _is_target(store, blueprint)):
        raise PortError("has_dependents", "Nothing was deleted: others relate to it")
    store.entities[blueprint].clear()
    if goes_too:
        _remove_blueprint(store, blueprint)
    return Reply(200, {"ok": True})


def _delete(call: Call[DeleteParameters, object], doomed: set[EntityKey]) -> None:
    """Delete all or, when one has dependents that may not go, none."""
    while dependents := _dependents(call.store, doomed):
        if call.query.delete_dependents == "false":
            raise PortError("has_dependents", "Nothing was deleted: other entities relate to one of these")
        doomed |= dependents
    for blueprint, identifier in doomed:
        del call.store.entities[blueprint][identifier]


def _dependents(store: PortStore, targets: set[EntityKey]) -> set[EntityKey]:
    """The entities, not themselves among `targets`, with a relation to one of them."""
    found = set()
    for name, blueprint in store.blueprints.items():
        for key, relation in blueprint["relations"].items():
            for entity in store.entities[name].values():
                related = related_identifiers(entity["relations"].get(key))
                if any((relation["target"], identifier) in targets for identifier in related):
                    found.add((name, entity["identifier"]))
    return found - targets


# Entities: reading


def get_entity(call: Call[Parameters, None]) -> Reply:
    """GET /blueprints/{id}/entities/{id}."""
    return Reply(200, {"ok": True, "entity": call.store.entity(*call.path)})


def count_entities(call: Call[Parameters, None]) -> Reply:
    """GET /blueprints/{id}/entities-count."""
    call.store.blueprint(*call.path)
    return Reply(200, {"ok": True, "count": len(call.store.entities[call.path[0]])})


def search_entities(call: Call[SearchParameters, Query]) -> Reply:
    """POST /entities/search, over all blueprints, without pages."""
    matches = predicate_of(call.body)
    found = [entity for entities in call.store.entities.values() for entity in entities.values() if matches(entity)]
    include, exclude = related_identifiers(call.query.include), related_identifiers(call.query.exclude)
    return Reply(
        200,
        {
            "ok": True,
            "matchingBlueprints": sorted({entity["blueprint"] for entity in found}),
            "entities": [projected(entity, dotted_names, include, exclude) for entity in found],
        },
    )


def search_blueprint(call: Call[Parameters, SearchBody]) -> Reply:
    """POST /blueprints/{id}/entities/search, in pages: `next` of one is `from` of the following."""
    (blueprint,) = call.path
    call.store.blueprint(blueprint)
    entities: Iterable[JsonObject] = call.store.entities[blueprint].values()
    if call.body.query is not UNSET:
        entities = filter(predicate_of(call.body.query), entities)
    page = page_of(entities, blueprint, call.body)
    shown = [projected(entity, short_names, call.body.include, call.body.exclude) for entity in page.entities]
    return Reply(200, {"ok": True, "entities": shown} | ({"next": page.next} if page.next else {}))


# Pages


def create_page(call: Call[Parameters, PageBody]) -> Reply:
    """POST /pages. The answer names the page; what else it holds is [inferred] from other calls."""
    identifier = call.body.identifier
    check_references(call.body, call.store.blueprints)
    if identifier in call.store.pages:
        raise PortError("identifier_taken", f'Page with identifier "{identifier}" already exists')
    call.store.pages[identifier] = msgspec.to_builtins(call.body) | _authorship(call.store, {})
    return Reply(201, {"ok": True, "page": call.store.pages[identifier]})


def get_page(call: Call[Parameters, None]) -> Reply:
    """GET /pages/{id}."""
    return Reply(200, {"ok": True, "page": call.store.page(*call.path)})


def delete_page(call: Call[Parameters, None]) -> Reply:
    """DELETE /pages/{id}."""
    call.store.page(*call.path)
    del call.store.pages[call.path[0]]
    return Reply(200, {"ok": True})


# Scorecards


def create_scorecard(call: Call[Parameters, ScorecardBody]) -> Reply:
    """POST /blueprints/{id}/scorecards. What the answer holds besides the body is [inferred] from other calls."""
    store, (blueprint,) = call.store, call.path
    check_scorecard(call.body, store.blueprint(blueprint))
    identifier = call.body.identifier
    if any(identifier in scorecards for scorecards in store.scorecards.values()):  # "unique among all scorecards"
        raise PortError("identifier_taken", f'Scorecard with identifier "{identifier}" already exists')
    scorecard = {**msgspec.to_builtins(call.body), "blueprint": blueprint, **_authorship(store, {})}
    store.scorecards.setdefault(blueprint, {})[identifier] = scorecard
    return Reply(201, {"ok": True, "scorecard": scorecard})


def list_scorecards(call: Call[Parameters, None]) -> Reply:
    """GET /blueprints/{id}/scorecards."""
    call.store.blueprint(*call.path)
    return Reply(200, {"ok": True, "scorecards": list(call.store.scorecards.get(call.path[0], {}).values())})


def get_scorecard(call: Call[Parameters, None]) -> Reply:
    """GET /blueprints/{id}/scorecards/{id}."""
    return Reply(200, {"ok": True, "scorecard": call.store.scorecard(*call.path)})


def delete_scorecard(call: Call[Parameters, None]) -> Reply:
    """DELETE /blueprints/{id}/scorecards/{id}."""
    blueprint, identifier = call.path
    call.store.scorecard(blueprint, identifier)
    del call.store.scorecards[blueprint][identifier]
    return Reply(200, {"ok": True})


# Routes


class PortRoute(NamedTuple):
    """`path` has `*` for an identifier; `limit` names the rate limit that a call counts against."""

    method: str
    path: str
    limit: LimitName
    handler: Callable[[Call[Any, Any]], Reply]
    query: type[msgspec.Struct] = Parameters
    body: Any = None

    def identifiers(self, method: str, segments: list[str]) -> tuple[str, ...] | None:
        """The path's identifiers when this route serves the request, else None."""
        pattern = self.path.split("/")
        if method != self.method or len(pattern) != len(segments):
            return None
        if any(part not in {"*", segment} for part, segment in zip(pattern, segments, strict=True)):
            return None
        return tuple(segment for part, segment in zip(pattern, segments, strict=True) if part == "*")


PUBLIC: LimitName = "unauthenticated_limit"
ENTITIES: LimitName = "entities_limit"
OTHER: LimitName = "other_limit"

ROUTES = (
    PortRoute("POST", "auth/access_token", PUBLIC, issue_token, body=Credentials),
    PortRoute("GET", "blueprints", OTHER, list_blueprints),
    PortRoute("POST", "blueprints", OTHER, create_blueprint, CreateBlueprintParameters, JsonObject),
    PortRoute("GET", "blueprints/*", OTHER, get_blueprint),
    PortRoute("PUT", "blueprints/*", OTHER, replace_blueprint, body=JsonObject),
    PortRoute("PATCH", "blueprints/*", OTHER, patch_blueprint, body=JsonObject),
    PortRoute("DELETE", "blueprints/*", OTHER, delete_blueprint, DeleteBlueprintParameters),
    PortRoute("POST", "blueprints/*/entities", ENTITIES, upsert_entity, UpsertParameters, EntityBody),
    PortRoute("POST", "blueprints/*/entities/bulk", ENTITIES, upsert_entities, UpsertParameters, EntitiesBody),
    PortRoute("POST", "blueprints/*/entities/search", ENTITIES, search_blueprint, body=SearchBody),
    PortRoute(
        "POST", "blueprints/*/bulk/entities/delete", ENTITIES, delete_entities, DeleteParameters, IdentifiersBody
    ),
    PortRoute("GET", "blueprints/*/entities/*", ENTITIES, get_entity),
    PortRoute("PATCH", "blueprints/*/entities/*", ENTITIES, patch_entity, WriteParameters, EntityPatch),
    PortRoute("PUT", "blueprints/*/entities/*", ENTITIES, replace_entity, WriteParameters, EntityPut),
    PortRoute("DELETE", "blueprints/*/entities/*", ENTITIES, delete_entity, DeleteParameters),
    PortRoute("DELETE", "blueprints/*/all-entities", ENTITIES, delete_all_entities, DeleteAllParameters),
    PortRoute("GET", "blueprints/*/entities-count", ENTITIES, count_entities),
    PortRoute("POST", "entities/search", ENTITIES, search_entities, SearchParameters, Query),
    PortRoute("GET", "blueprints/*/scorecards", OTHER, list_scorecards),
    PortRoute("POST", "blueprints/*/scorecards", OTHER, create_scorecard, body=ScorecardBody),
    PortRoute("GET", "blueprints/*/scorecards/*", OTHER, get_scorecard),
    PortRoute("DELETE", "blueprints/*/scorecards/*", OTHER, delete_scorecard),
    PortRoute("POST", "pages", OTHER, create_page, body=PageBody),
    PortRoute("GET", "pages/*", OTHER, get_page),
    PortRoute("DELETE", "pages/*", OTHER, delete_page),
)


def port_routes(store: PortStore) -> list[BaseRoute]:
    """Port's API for mounting at /port/v1: one route, because identifiers may hold an encoded slash."""

    async def answer(request: Request) -> Response:
        route, identifiers = _find_route(request)
        public = route is not None and route.limit == PUBLIC
        allowed = public or store.is_authorized(request.headers.get("authorization", ""))
        limit = OTHER if route is None else route.limit
        headers = store.count_call(limit if allowed else PUBLIC)
        try:
            if "retry-after" in headers:
                raise PortError("too_many_requests", f"Rate limit exceeded, retry in {headers['retry-after']} s")
            if not allowed:
                raise PortError("unauthorized", "The access token is missing, unknown or expired")
            if route is None:
                raise PortError("not_found", f"Route {request.method}:{request.url.path} not found")
            reply = route.handler(
                Call(
                    store,
                    identifiers,
                    query=_query_of(request, route.query),
                    body=None if route.body is None else await _body_of(request, route.body),
                    user_agent=request.headers.get("user-agent", ""),
                )
            )
        except PortError as error:
            reply = Reply(error.status, error.body())
        return Response(ENCODER.encode(reply.body), reply.status, headers, media_type="application/json")

    return [Route("/{path:path}", answer, methods=sorted({route.method for route in ROUTES}))]


def _find_route(request: Request) -> tuple[PortRoute | None, tuple[str, ...]]:
    # The framework's own path is decoded already: there "a%2Fb" looks like two segments.
    path = request.scope["raw_path"].decode("ascii").removeprefix(request.scope["root_path"])
    segments = [unquote(segment) for segment in path.removeprefix("/").split("/")]
    for route in ROUTES:
        identifiers = route.identifiers(request.method, segments)
        if identifiers is not None:
            return route, identifiers
    return None, ()


def _query_of(request: Request, model: type[T]) -> T:
    values = {name: request.query_params.getlist(name) for name in request.query_params}
    return converted({name: given[0] if len(given) == 1 else given for name, given in values.items()}, model, "query")


async def _body_of(request: Request, model: Any) -> Any:
    raw = await request.body()
    if len(raw) > BODY_LIMIT:
        raise PortError("request_too_large", "Request body is too large (limit is 1MiB)")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise PortError("unsupported_media_type", "The body must be sent as application/json")
    try:
        return msgspec.json.Decoder(model, float_hook=Decimal).decode(raw)
    except msgspec.ValidationError as error:
        raise PortError("invalid_request", f"body: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PortError("bad_request", f"The body is not JSON: {error}") from error


def port_control(store: PortStore) -> list[BaseRoute]:
    """/port for mounting below /control: GET shows the switches, POST sets those it names."""

    async def switches(request: Request) -> Response:
        if request.method == "POST":
            try:
                named = msgspec.json.decode(await request.body(), type=JsonObject)
                store.settings = msgspec.convert(msgspec.structs.asdict(store.settings) | named, PortSettings)
            except msgspec.DecodeError as error:
                return JSONResponse({"error": str(error)}, status_code=422)
        return JSONResponse(msgspec.structs.asdict(store.settings))

    return [Route("/port", switches, methods=["GET", "POST"])]
