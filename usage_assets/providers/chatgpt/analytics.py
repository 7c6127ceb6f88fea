"""ChatGPT Enterprise: Codex analytics. Never add credits, cost_usd and estimated_cost_usd to each other.

Source: the Codex governance page at developers.openai.com and a captured OpenAPI description of September 2026. Rows of
a second shape are read, too: the illustrative one of a public sample, which no real answer has confirmed.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Annotated

import msgspec

from usage_assets.provider import (
    BilledAs,
    CostSource,
    Endpoint,
    Entities,
    Item,
    Json,
    Moment,
    Occurrence,
    OtherFields,
    Parser,
    Provider,
    Row,
    ShapeError,
    Total,
    as_json,
    bearer,
    column,
    entity_rows,
    ids_in,
    unix_seconds,
)

measure = partial(column, additive=False)
"""The cuts overlap: no column of the table may be summed over all its rows."""
tokens = partial(measure, unit="tokens")

MEASURES = (
    "threads",
    "turns",
    "credits",
    "cost_usd",
    "estimated_cost_usd",
    "uncached_text_input_tokens",
    "cached_text_input_tokens",
    "text_output_tokens",
    "text_total_tokens",
    "text_input_tokens",
)
SHAPES: Mapping[str, frozenset[str]] = {
    "documented": frozenset(("totals",)),
    "illustrative": frozenset(("tokens", *MEASURES)),
}
"""The shapes of a usage row: name -> fields that only rows of that shape have."""
ILLUSTRATIVE_TOKENS = {
    "text_input": "text_input_tokens",  # with or without the cached ones: the sample does not say
    "cached_input": "cached_text_input_tokens",
    "output": "text_output_tokens",
}


class CodexRecord(Item, kw_only=True, rename={"start": "start_time", "end": "end_time"}):
    """What is read of a usage row, of either shape, before it is split into its cuts."""

    start: Moment
    end: Moment
    totals: dict[str, object] | msgspec.UnsetType = msgspec.UNSET
    user: dict[str, object] | None = None
    tokens: dict[str, object] | None = None
    clients: list[dict[str, object]] | None = None
    models: list[dict[str, object]] | None = None


class CodexUsage(
    Row,
    kw_only=True,
    rename={"actor_type": "actor.type", "actor_user_id": "actor.user_id", "user_email": "actor.email"},
):
    """One row per connection, day, cut, what the cut is by (user, user and client, user and model, or nothing) and
    occurrence: users without an id are not told apart.

    The cuts user, client, model and workspace show the same use four times: choose one before summing. Totals of a
    user may exceed the sum of the clients. A null counter is unknown, not zero. Revised for some days afterwards. All
    rows of a day's cut have one shape: it says how a row was read and is no part of what the row is about.
    """

    table = "chatgpt.codex_usage"
    grain = (
        "cut",
        "workspace_id",
        "user_id",
        "actor_type",
        "actor_user_id",
        "client_id",
        "model",
        "speed",
        "occurrence",
    )
    totals = {
        name: Total(
            f"case when bool_or(cut = 'user') then sum({name}) filter (where cut = 'user') "
            f"else sum({name}) filter (where cut = 'workspace') end"
        )
        for name in MEASURES
    }

    cut: Annotated[str, column("user, client, model or workspace: what the row is a part of")]
    workspace_id: Annotated[str, column("ChatGPT workspace")]
    user_id: Annotated[str | None, column("User; none in the cut workspace")] = None
    actor_type: Annotated[str | None, column("Kind of actor, such as user")] = None
    actor_user_id: Annotated[str | None, column("User as the actor states it")] = None
    user_email: Annotated[str | None, column("Address of the user; sent unasked", address="sent_unasked")] = None
    client_id: Annotated[str | None, column("Client in the cut client; CODEX_UNKNOWN_DEFAULT is unknown")] = None
    model: Annotated[str | None, column("Model in the cut model; `other` is unknown")] = None
    speed: Annotated[str | None, column("Speed in the cut model: standard or fast")] = None
    shape: Annotated[
        str | None, column("Shape of the answer: documented, or illustrative (never seen live: money is unverified)")
    ] = None
    occurrence: Occurrence = 1
    threads: Annotated[int | None, measure("Threads", unit="threads")] = None
    turns: Annotated[int | None, measure("Turns", unit="turns")] = None
    credits: Annotated[
        Decimal | None, measure("Use that is billed in credits; not dollars", unit="credits", kind="credits")
    ] = None
    cost_usd: Annotated[Decimal | None, measure("Use that is billed in dollars", unit="USD", kind="billed")] = None
    estimated_cost_usd: Annotated[
        Decimal | None, measure("The credits at the workspace's overage rate; not billed", unit="USD", kind="estimated")
    ] = None
    uncached_text_input_tokens: Annotated[int | None, tokens("Text input that was not cached")] = None
    cached_text_input_tokens: Annotated[int | None, tokens("Text input read from the cache")] = None
    text_output_tokens: Annotated[int | None, tokens("Text output")] = None
    text_total_tokens: Annotated[int | None, tokens("All text tokens")] = None
    text_input_tokens: Annotated[
        int | None, tokens("Text input in the shape illustrative, which does not say whether cached is part of it")
    ] = None
    code_attribution: Annotated[str | None, column("Code attributed to Codex, as sent, as JSON", personal=True)] = None
    other_fields: OtherFields = None

    @property
    def is_anonymous(self) -> bool:
        """Whether it is a user's, and nobody knows whose."""
        return self.cut != "workspace" and not (self.user_id or self.actor_user_id)


def codex_records(record: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The cuts of a usage row. Which query it answers says whose row it is: a user's id may be null, too.

    Raises ShapeError for a row of no shape that we know, and for a day in two shapes: it may tell one use twice.
    """
    shape = _shape(record, path, parser)
    if shape == "illustrative":
        record = _as_documented(record)
    whose = {name: record.get(name) for name in ("user_id", "actor")}
    whose |= {"workspace_id": parser.ids["workspace_id"], "shape": shape}
    others = {name: value for name, value in record.items() if name not in ("totals", "clients", "models")}
    if (attribution := others.get("code_attribution")) is not None:
        others["code_attribution"] = as_json(parser.people.scrubbed(attribution))
    cut = parser.query.get("group", "user")
    yield f"{path}.totals", others | record["totals"] | whose | {"cut": cut}
    if cut == "user":
        for list_name, part in (("clients", "client"), ("models", "model")):
            for n, cell in enumerate(record.get(list_name) or ()):
                yield f"{path}.{list_name}[{n}]", cell | whose | {"cut": part}


def _shape(record: Json, path: str, parser: Parser) -> str:
    fitting = [shape for shape, fields in SHAPES.items() if not fields.isdisjoint(record)]
    if len(fitting) != 1:
        known = "the documented shape (totals) or the illustrative one (credits, tokens)"
        raise ShapeError(path, parser.day, f"a usage row has either {known}, this one has {len(fitting)} of them")
    [shape] = fitting
    if parser.shapes.setdefault(parser.day, shape) != shape:
        raise ShapeError(path, parser.day, f"a row of the shape {shape} on a day with rows of another shape")
    return shape


def _as_documented(record: Json) -> Json:
    """An illustrative row with everything where the documented shape has it; what it does not state stays out."""
    user, tokens = record.get("user") or {}, record.get("tokens") or {}
    others = {name: value for name, value in record.items() if name not in ("user", "tokens", *MEASURES)}
    others |= {f"user.{name}": value for name, value in user.items() if name not in ("id", "email")}
    totals = {name: record[name] for name in MEASURES if name in record}
    totals |= {ILLUSTRATIVE_TOKENS.get(name, f"tokens.{name}"): count for name, count in tokens.items()}
    return others | {"user_id": user.get("id"), "actor": {"email": user.get("email")}, "totals": totals}


def _error_message(body: object) -> str | None:
    match body:
        case {"detail": str(message)} | {"error": {"message": str(message)}}:
            return message
        case {"detail": [{"loc": [*places], "msg": str(message)}, *_]}:
            return f"{'.'.join(map(str, places))}: {message}"
    return None


COUNTED = (
    "chatgpt.codex_usage "
    "qualify cut = if(bool_or(cut = 'user') over (partition by connection, usage_date), 'user', 'workspace')"
)
"""User rows, or the workspace's own row on days without them."""
CHATGPT = Provider(
    name="chatgpt",
    surface=2,
    module=__name__,
    position=3,
    company="OpenAI",
    service="ChatGPT Enterprise",
    billed_as=BilledAs(services=("ChatGPT*", "Codex*"), sellers=("OpenAI*",)),
    develops_models=True,
    sub_account_type="Workspace",
    base_url="https://api.chatgpt.com",
    base_url_variable="CHATGPT_BASE_URL",
    key_variable="CHATGPT_ANALYTICS_KEY",
    id_variables={"workspace_id": "CHATGPT_WORKSPACE_ID"},
    auth=bearer,
    error_message=_error_message,
    advice={
        401: "Check the key (CHATGPT_ANALYTICS_KEY for the default connection)",
        403: "The key needs the scope codex.enterprise.analytics.read",
        404: "Check the workspace (CHATGPT_WORKSPACE_ID) and that the key belongs to it",
    },
    settling_days=7,
    lookback_days=90,
    costs=(
        CostSource(
            table="chatgpt.codex_usage",
            rows=f"(from {COUNTED}) unpivot (native_amount for cost_basis in "
            "(credits, cost_usd as 'billed', estimated_cost_usd as 'estimated'))",
            columns={
                "native_amount": "native_amount",
                "cost_basis": "cost_basis",
                "native_unit": "if(cost_basis = 'credits', 'credits', 'dollars')",
                "currency": "if(cost_basis = 'credits', null, 'USD')",
            },
            billed_totals="cost_usd",
            charge="Codex",
        ),
    ),
    entities=(
        Entities(
            row=entity_rows(__file__, "codex_usage_record"),
            reads=("chatgpt.codex_usage",),
            rows=COUNTED,
            keeps_null=True,
            about={"project": ids_in("workspace_id")},
        ),
    ),
    is_published=True,
    endpoints=(
        Endpoint(
            name="codex_usage",
            group="codex",
            path="v1/analytics/codex/workspaces/{workspace_id}/usage",
            row=CodexUsage,
            item=CodexRecord,
            records=codex_records,
            window_days=31,
            window_params=unix_seconds,
            params={"group_by": "day", "limit": "30000"},
            queries=({}, {"group": "workspace"}),
            bucket_per_day=False,
            seen_live=False,
        ),
    ),
)
