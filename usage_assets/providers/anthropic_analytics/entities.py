"""What Claude Enterprise reports of people and skills, as rows of the blueprints of Port's own Claude integration.

Source: port-labs/ocean, integrations/claude 0.2.50. The costs are those of the bill once more, by person.
"""

from decimal import Decimal
from functools import partial
from typing import Annotated

from usage_assets.provider import Entities, Midnight, Row, Title, column, ids_in

distinct = partial(column, additive=False)
"""Counts of distinct things are those of one row: they may not be added."""
PersonalTitle = Annotated[str, column("Title in Port", personal=True)]
UserId = Annotated[str, column("Person, as Anthropic knows them")]
UserName = Annotated[str | None, column("Name of the person, where the policy for people keeps it", personal=True)]
Email = Annotated[str | None, column("E-mail address, where the policy for people keeps it", personal=True)]
RangeEnd = Annotated[str, column("UTC midnight after the day, RFC 3339")]
Product = Annotated[str | None, column("Product, such as chat or claude_code")]
Model = Annotated[str | None, column("Model")]
Deleted = Annotated[bool | None, column("Always null: the present state of a person would change every day")]
NotAsked = Annotated[str | None, column("Always null: the report is not grouped by it")]
Tokens = Annotated[int | None, column("As in anthropic_analytics.user_usage_report", unit="tokens")]
RequestCount = Annotated[int | None, column("Requests", unit="requests")]
Proposals = Annotated[int | None, column("Proposals of Claude Code", unit="proposals")]
Messages = Annotated[int | None, column("Messages", unit="messages")]
Sessions = Annotated[int | None, distinct("Distinct sessions of the day", unit="sessions")]
Lines = Annotated[int | None, column("Lines of code by Claude Code", unit="lines")]
Currency = Annotated[str | None, column("Currency, ISO 4217")]


class ClaudeAiUserActivity(Row):
    """One entity per connection, day and person. Distinct counts are of the day: never add them over days."""

    table = "port_entities.claude_ai_user_activity"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <user>-<day>")]
    title: PersonalTitle
    record_date: Midnight
    user_id: UserId
    email: Email
    chat_conversation_count: Annotated[int | None, distinct("Distinct conversations", unit="conversations")]
    chat_message_count: Messages
    chat_thinking_message_count: Messages
    chat_skills_used_count: Annotated[int | None, distinct("Distinct skills", unit="skills")]
    chat_connectors_used_count: Annotated[int | None, column("Calls of connectors", unit="calls")]
    code_session_count: Sessions
    code_commit_count: Annotated[int | None, column("Commits by Claude Code", unit="commits")]
    code_pull_request_count: Annotated[int | None, column("Pull requests by Claude Code", unit="pull requests")]
    lines_added: Lines
    lines_removed: Lines
    edit_tool_accepted: Proposals
    edit_tool_rejected: Proposals
    write_tool_accepted: Proposals
    write_tool_rejected: Proposals
    web_search_count: Annotated[int | None, column("Web searches", unit="requests")]
    chat_projects_used_count: Annotated[int | None, distinct("Distinct projects", unit="projects")]
    chat_projects_created_count: Annotated[int | None, distinct("Distinct projects", unit="projects")]
    chat_artifacts_created_count: Annotated[int | None, distinct("Distinct artifacts", unit="artifacts")]
    chat_files_uploaded_count: Annotated[int | None, distinct("Distinct files", unit="files")]
    chat_shared_conversations_viewed_count: Annotated[int | None, column("Views of conversations", unit="views")]
    multi_edit_tool_accepted: Proposals
    multi_edit_tool_rejected: Proposals
    notebook_edit_tool_accepted: Proposals
    notebook_edit_tool_rejected: Proposals
    office_session_count: Sessions
    office_message_count: Messages
    cowork_session_count: Sessions
    cowork_message_count: Messages
    design_session_count: Sessions
    design_message_count: Messages


class ClaudeAiUserUsage(Row):
    """One entity per connection, day, person, product and model. The token classes are disjoint."""

    table = "port_entities.claude_ai_user_usage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <user>-<day>-<product>-<model>")]
    title: PersonalTitle
    record_date: Midnight
    range_end: RangeEnd
    user_id: UserId
    user_name: UserName
    email: Email
    deleted: Deleted
    product: Product
    model: Model
    context_window: NotAsked
    inference_geo: NotAsked
    speed: NotAsked
    uncached_input_tokens: Tokens
    cache_creation_1h_tokens: Tokens
    cache_creation_5m_tokens: Tokens
    cache_read_input_tokens: Tokens
    output_tokens: Tokens
    total_tokens: Tokens
    web_search_requests: RequestCount
    requests: RequestCount


class ClaudeAiUserCost(Row):
    """One entity per connection, day, person, product, model and currency. The bill once more, by person."""

    table = "port_entities.claude_ai_user_cost"
    grain = ("identifier",)

    identifier: Annotated[
        str, column("Identifier in Port: <user>-<day>-<product>-<model>, and the currency where it is not USD")
    ]
    title: PersonalTitle
    record_date: Midnight
    range_end: RangeEnd
    user_id: UserId
    user_name: UserName
    email: Email
    deleted: Deleted
    product: Product
    model: Model
    currency: Currency
    amount: Annotated[
        Decimal,
        column("Cost after discounts, in whole units of currency", unit="currency", kind="billed", additive=False),
    ]
    list_amount: Annotated[
        Decimal,
        column("Cost before discounts, in whole units of currency", unit="currency", kind="list", additive=False),
    ]
    requests: RequestCount


Uses = Annotated[int | None, distinct("Distinct conversations or sessions that used the skill", unit="uses")]


class ClaudeAiSkillUsage(Row):
    """One entity per connection, day and skill (and way of sharing). Its amounts are estimates of what is billed."""

    table = "port_entities.claude_ai_skill_usage"
    grain = ("identifier",)

    identifier: Annotated[str, column("Identifier in Port: <skill>-<day>, and how it is shared where a name repeats")]
    title: Title
    record_date: Midnight
    skill_name: Annotated[str, column("Skill")]
    skill_display_name: Annotated[str | None, column("What people call it")]
    distinct_user_count: Annotated[int | None, distinct("Distinct people who used it", unit="people")]
    enable_count: Annotated[int | None, distinct("People who have switched it on", unit="people")]
    invocation_count: Annotated[int | None, column("Uses", unit="calls")]
    share_status: Annotated[str | None, column("How it is shared")]
    currency: Currency
    estimated_overage_spend: Annotated[
        Decimal | None,
        column("Estimate, in whole units of currency", unit="currency", kind="estimated", additive=False),
    ]
    attributed_list_price: Annotated[
        Decimal | None,
        column("Estimate, in whole units of currency", unit="currency", kind="estimated", additive=False),
    ]
    chat_conversation_skill_used_count: Uses
    code_session_skill_used_count: Uses
    cowork_session_skill_used_count: Uses
    excel_session_skill_used_count: Uses
    powerpoint_session_skill_used_count: Uses
    word_session_skill_used_count: Uses
    outlook_session_skill_used_count: Uses


_OF_PERSON = {"user": ids_in("email", "user_id")}
ENTITIES = (
    Entities(row=ClaudeAiUserActivity, reads=("anthropic_analytics.users",), about=_OF_PERSON),
    Entities(row=ClaudeAiUserUsage, reads=("anthropic_analytics.user_usage_report",), about=_OF_PERSON),
    Entities(row=ClaudeAiUserCost, reads=("anthropic_analytics.user_cost_report",), about=_OF_PERSON),
    Entities(row=ClaudeAiSkillUsage, reads=("anthropic_analytics.skills",)),
)
