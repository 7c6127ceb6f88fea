"""What the doctor finds in what these providers report."""

import pytest

from usage_assets_tests.alone import needs
from usage_assets_tests.fixtures import NewWarehouse, last_days
from usage_assets_tests.models.days import Days, raw
from usage_assets_tests.terminal import Terminal, examined, finding
from usage_assets_vendors.github_copilot.billing import BillingUsage


@pytest.fixture
def terminal(terminal: Terminal) -> Terminal:
    """A person with one account at the sandbox."""
    terminal.set(OPENAI_ADMIN_KEY=None, ANTHROPIC_ADMIN_KEY=None)
    return terminal


def test_a_billed_product_that_is_not_known_is_named(terminal: Terminal, warehouse_with_views: NewWarehouse) -> None:
    days = Days(warehouse_with_views(terminal.folder))
    items = (("Copilot", "seat", "user-months"), ("Actions", "Actions Linux", "minutes"), ("New", "new_sku", None))
    days.fetched(BillingUsage, *(raw(BillingUsage, product=p, sku=s, unit_type=u, net_amount=44) for p, s, u in items))
    days.derive("github_copilot_billing_usage")
    assert finding(examined(terminal), "in no cost") == (
        "WARN  connection github_copilot: New, new_sku is billed 44.00 USD on 1 day and is in no cost: this release "
        "does not know whether it is AI. Report it, so that the next release knows it"
    )


@needs("report")
def test_what_the_connections_file_states_of_nothing_that_is_stored_is_named(terminal: Terminal) -> None:
    yesterday = str(last_days(1)[0])
    assert terminal.run("backfill --start", yesterday, "--end", yesterday, "--connection", "chatgpt").code == 0
    file = terminal.folder / "merged.csv"
    owners = ('workspace = "ws-sandbox"', 'project = "proj_typo"', 'user = "typo@example.com"')
    (terminal.folder / "connections.toml").write_text(
        '[[connection]]\nname = "gateway"\nprovider = "litellm"\nkey = "env:CHATGPT_ADMIN_KEY"\n'
        f'base_url = "{terminal.environment["CHATGPT_BASE_URL"]}"\n'
        "[connection.endpoints]\ntag_activity_by_model = true\n"
        '[[tag_allocation]]\nconnection = "chatgpt"\napi_key = "typo"\ngateway = "gateway"\ntags = "team:"\n'
        f'[[metric]]\nfile = "{file}"\nscope = "connection"\n'
        + "".join(f'[[owner]]\n{owner}\nteam = "web"\n' for owner in owners)
    )
    terminal.set(USAGE_CONNECTIONS="connections.toml")
    file.write_text("date,scope,metric,value\n2026-11-19,chatgpt,merged,1\n2026-11-19,chatgtp,merged,1\n")
    said = examined(terminal)
    assert [line for line in said.lines if " metrics: " in line] == [
        "WARN  metrics: connection 'chatgtp' has no stored costs: correct it if it is misspelled",
        "OK    metrics: 2 rows can be read",
    ]
    advice = "correct it in connections.toml, or remove it"
    key = f"WARN  tag_allocation of chatgpt: no stored cost is of API key 'typo': {advice}"
    assert finding(said, "tag_allocation") == key
    assert [
        line.removesuffix(f" matches no stored cost of its days: {advice}") for line in said.lines if "owner" in line
    ] == [
        "WARN  owner of team web: project proj_typo",
        "WARN  owner of team web: the user with an email address",
    ]
    file.write_text("date,scope,metric,value\n2026-11-19,chatgpt,merged,many\n")
    assert finding(examined(terminal), "metrics").startswith(f"FAIL  metrics: {file}, line 2, value: 'many': write")
