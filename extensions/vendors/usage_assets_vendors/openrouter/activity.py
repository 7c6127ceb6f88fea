"""OpenRouter's activity, and the provider. ``usage`` is dollars that OpenRouter bills; use with an own key of another
provider is in that provider's bill.

Source: the official SDK ``openrouter`` 1.3.84, which is generated from OpenRouter's API description. It serves the last
30 completed UTC days. No answer has been seen live.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import partial
from typing import Annotated

import msgspec

from usage_assets.provider import (
    BilledAs,
    CostSource,
    Endpoint,
    Item,
    Json,
    Moment,
    OneDay,
    OtherFields,
    Parser,
    Provider,
    Row,
    ShapeError,
    Total,
    bearer,
    column,
    date_alone,
)

dollars = partial(column, unit="USD", additive=False)
tokens = partial(column, unit="tokens")


class ActivityAnswer(msgspec.Struct):
    """What is read of a whole answer."""

    data: list[dict[str, object]]


class ActivityOfDay(Item, kw_only=True, rename={"start": "asked_for"}):
    """The answer for one day."""

    start: Moment
    answer: ActivityAnswer


class Activity(Row, kw_only=True):
    """One row per connection, day, model, version of the model, endpoint, provider behind it, workspace and, where the
    answer states one, moment.

    usage is what OpenRouter bills. byok_usage_inference is what requests with an own key of the provider behind it cost
    there: that provider bills it, so it is never added to usage. cached_tokens are inside prompt_tokens, but may exceed
    them (whole answers from a cache); reasoning_tokens are inside completion_tokens.
    """

    table = "openrouter.activity"
    grain = ("model", "model_permaslug", "endpoint_id", "provider_name", "workspace_id", "stated_at")
    totals = {name: Total(f"sum({name})") for name in ("usage", "byok_usage_inference")}

    model: Annotated[str, column("Model, such as anthropic/claude-sonnet-5; its version where only that is stated")]
    model_permaslug: Annotated[str | None, column("Version of the model")] = None
    endpoint_id: Annotated[str | None, column("Endpoint that answered")] = None
    provider_name: Annotated[str | None, column("Provider that answered, as OpenRouter calls it")] = None
    workspace_id: Annotated[str | None, column("Workspace; none where the account has none")] = None
    stated_at: Annotated[
        datetime | None,
        column("Moment that the row states, as parts of a day do; none for a day or its midnight", is_added=True),
    ] = None
    usage: Annotated[Decimal, dollars("What is billed: one credit is one dollar", kind="billed")]
    byok_usage_inference: Annotated[
        Decimal | None,
        dollars("What own keys were billed for by the provider behind it: never billed here", kind="notional"),
    ]
    requests: Annotated[int | None, column("Requests", unit="requests")]
    prompt_tokens: Annotated[int | None, tokens("Input")]
    completion_tokens: Annotated[int | None, tokens("Output, reasoning included")]
    reasoning_tokens: Annotated[int | None, tokens("Reasoning")]
    cached_tokens: Annotated[int | None, tokens("Tokens from a cache")] = None
    other_fields: OtherFields = None


def rows_of_day(item: Json, path: str, parser: Parser) -> Iterator[tuple[str, Json]]:
    """The rows of an answer, which state their day or a moment of it. Raises ShapeError for one of another day."""
    answer, path = item["answer"], f"{path}.answer"
    others = {f"answer.{name}": answer[name] for name in answer.keys() - {"data"}}
    for n, record in enumerate(answer["data"]):
        stated = record.pop("date", None)
        moment = _moment(stated)
        if moment is None or moment.date() != parser.day:
            raise ShapeError(f"{path}.data[{n}]", parser.day, f"date {stated} is not the requested day")
        if not record.get("model") and (version := record.get("model_permaslug")):
            record["model"] = version
        yield f"{path}.data[{n}]", record | others | {"stated_at": moment if moment.time() != time() else None}


def _moment(stated: object) -> datetime | None:
    """A day or a moment, in UTC where it does not say; None for anything else."""
    try:
        moment = datetime.fromisoformat(str(stated))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


OPENROUTER = Provider(
    name="openrouter",
    surface=2,
    module=__name__,
    position=8,
    company="OpenRouter",
    service="OpenRouter",
    billed_as=BilledAs(services=("OpenRouter*",), sellers=("OpenRouter*",)),
    sub_account_type="Workspace",
    base_url="https://openrouter.ai/api/v1",
    base_url_variable="OPENROUTER_BASE_URL",
    auth=bearer,
    advice={
        401: "Check the connection's key: a management key of OpenRouter, not an API key",
        403: "Use a management key of OpenRouter: an API key may not read the activity",
        404: "Check the connection's base_url",
    },
    settling_days=2,
    lookback_days=30,
    costs=(
        CostSource(
            table="openrouter.activity",
            rows="openrouter.activity unpivot "
            "(native_amount for cost_basis in (usage as 'billed', byok_usage_inference as 'notional'))",
            columns={"native_amount": "native_amount", "cost_basis": "cost_basis"},
            billed_totals="usage",
        ),
    ),
    endpoints=(
        Endpoint(
            name="activity",
            group="activity",
            path="activity",
            row=Activity,
            item=ActivityOfDay,
            records=rows_of_day,
            page=OneDay(),
            window_days=1,
            window_params=date_alone,
            params={"group_by": "workspace"},
            bucket_per_day=False,
            seen_live=False,
        ),
    ),
)
