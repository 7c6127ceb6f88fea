"""A person's day in Cursor as a row of Port's blueprint. Source: port-labs/ocean, integrations/cursor."""

from typing import Annotated

from usage_assets.provider import Entities, Midnight, Row, column, ids_in

Lines = Annotated[int | None, column("As in cursor.daily_usage", unit="lines")]
Requests = Annotated[int | None, column("As in cursor.daily_usage", unit="requests")]
Completions = Annotated[int | None, column("As in cursor.daily_usage", unit="completions")]
Events = Annotated[int | None, column("As in cursor.daily_usage: events, not what plans bill", unit="events")]


class DailyUsageEntity(Row):
    """One entity per connection, day and person, whether active or not. No cost: that is in ai_user_cost."""

    table = "port_entities.cursorDailyUsage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <number of the member>-<day>", personal=True)]
    title: Annotated[str, column("Title in Port", personal=True)]
    day: Midnight
    user_id: Annotated[str | None, column("Number of the member in Cursor")]
    email: Annotated[str | None, column("E-mail address, where the policy for people keeps it", personal=True)]
    is_active: Annotated[bool | None, column("Whether the person did anything on the day")]
    total_lines_added: Lines
    total_lines_deleted: Lines
    accepted_lines_added: Lines
    accepted_lines_deleted: Lines
    total_applies: Annotated[int | None, column("Suggestions that were applied", unit="applies")]
    total_accepts: Annotated[int | None, column("Suggestions that were accepted", unit="accepts")]
    total_rejects: Annotated[int | None, column("Suggestions that were rejected", unit="rejects")]
    composer_requests: Requests
    chat_requests: Requests
    agent_requests: Requests
    most_used_model: Annotated[str | None, column("Model that the person used most")]
    total_tabs_shown: Completions
    total_tabs_accepted: Completions
    subscription_included_reqs: Events
    api_key_reqs: Events
    usage_based_reqs: Events
    bugbot_usages: Annotated[int | None, column("Uses of Bugbot", unit="uses")]


ENTITIES = (Entities(row=DailyUsageEntity, reads=("cursor.daily_usage",), about={"user": ids_in("email", "user_id")}),)
