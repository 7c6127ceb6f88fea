"""LiteLLM: from the sandbox's books to costs that stand beside the bills and are never part of one."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from usage_assets.core.forgotten import Forgotten
from usage_assets.features.explain.chain import Explainer
from usage_assets.features.explain.figures import Figure, figures_of
from usage_assets.features.explain.recompute import recomputed, value_of
from usage_assets.features.report.figures import read_figure
from usage_assets.features.report.period import Period
from usage_assets.warehouse.published import publish
from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, open_project, settings_in, told_once, with_main_endpoints
from usage_assets_tests.features.report.test_figures import start_of

DAYS = last_days(2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's folder."""
    return tmp_path_factory.mktemp("gateway")


@pytest.fixture(scope="module")
def gateway(request: pytest.FixtureRequest, sandbox_process: Sandbox, folder: Path) -> Iterator[Project]:
    """A project with a proxy and the bill of OpenAI behind it, whose days are stored and pushed."""
    stated = variables(sandbox_process, folder)
    with told_once(request, sandbox_process, folder), open_project(sandbox_process, folder, stated) as project:
        for connection in ("openai", "gateway"):
            assert project.fetch(connection, DAYS).success
            assert project.push_of(connection, DAYS).success
        yield project


def variables(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """The environment of that project."""
    key, of_openai = folder / "key", with_main_endpoints(folder)
    key.write_text("sk-litellm-sandbox")
    connections = Path(of_openai["USAGE_CONNECTIONS"])
    connections.write_text(
        f'{connections.read_text()}[[connection]]\nname = "gateway"\nprovider = "litellm"\nkey = "file:{key}"\n'
        f'base_url = "{sandbox.base_url}/litellm"\nendpoints = {{ tag_activity_by_model = true }}\n'
        '[[tag_allocation]]\nconnection = "openai"\ngateway = "gateway"\ntags = "product:"\n'
        '[[budget]]\nname = "all"\namount = 1\n'
    )
    return of_openai


def total(project: Project, query: str) -> Decimal:
    [value] = project.warehouse.read(f"select coalesce(sum({query}").column(0).to_pylist()
    return Decimal(value)


def test_every_cut_equals_the_books_and_no_estimate_is_part_of_a_bill(gateway: Project) -> None:
    books = gateway.sandbox.truth(DAYS[0], DAYS[-1])
    ours, bill = books["litellm"], books["openai"]["usd"]
    spend = ours["gateway_spend_usd"]
    of_gateway, nothing = "connection = 'gateway'", Decimal(0)
    for query, expected in (
        (f"amount_usd), 0) from costs.daily_costs where {of_gateway} and cost_basis = 'estimated'", spend),
        ("amount_usd), 0) from costs.by_day where cost_basis = 'estimated'", spend),
        (f"amount_usd), 0) from costs.daily_costs where {of_gateway} and cost_basis <> 'estimated'", nothing),
        (f"amount_usd), 0) from costs.allocated_costs where {of_gateway}", nothing),
        ("amount_usd), 0) from costs.by_month where cost_basis = 'billed'", bill),
        ("BilledCost), 0) from costs.focus", bill),
        (f"input_tokens), 0) from costs.usage where {of_gateway}", nothing),
        *(
            (f"spend), 0) from litellm.user_activity where cut = '{cut}'", spend)
            for cut in ("total", "provider", "user")
        ),
        *(
            (f"{measure}), 0) from litellm.{table}_activity", ours[f"{table}_{unit}"])
            for table in ("team", "tag", "customer")
            for measure, unit in (("spend", "spend_usd"), ("api_requests", "requests"))
        ),
    ):
        assert total(gateway, query) == expected, query
    assert spend
    assert gateway.in_port() == gateway.entities()
    of_models = total(gateway, "spend), 0) from litellm.user_activity where cut = 'model'")
    of_tools = total(gateway, f"amount_usd), 0) from costs.daily_costs where model is null and {of_gateway}")
    assert 0 < of_tools == spend - of_models
    assert "helpdesk" in gateway.warehouse.read("from costs.names where kind = 'api_key_id'")["name"].to_pylist()
    teams = {row["team_id"]: row["team_alias"] for row in gateway.rows("litellm.team_activity")}
    assert teams == {"team-support": "Support", "team-research": "Research"}


def test_a_part_of_a_bill_by_tag_is_explained_and_computed_again(gateway: Project, folder: Path) -> None:
    """By the bill's answers and the gateway's. The command of a row of the report finds its dollars."""
    publish(gateway.warehouse)
    settings = settings_in(gateway.sandbox, folder, variables(gateway.sandbox, folder))
    with gateway.warehouse.reading() as database:
        database.execute("set threads = 1")  # queries are small: a second thread costs more than it saves
        tags = read_figure(database, "tags", Period.of_days(DAYS[0], DAYS[0]))
        explainer, found = Explainer(settings, database), dict[str, set[str]]()
        rows, figures = tags.rows.to_pylist(), list[Figure]()
        chosen = {row["found_by"]: (row, *command) for row, command in zip(rows, tags.commands, strict=True)}
        chosen = {how: chosen[how] for how in ("estimate", "no estimate")}
        for how, (row, command) in chosen.items():
            [figure] = figures_of(database, start_of(command), Forgotten())
            explained = explainer.explain([figure])
            assert not explained.missing
            [shown] = explained.figures
            assert figure.value == shown.value == row["usd"]
            found[how] = {value.table for value in shown.values}
            figures.append(figure)
        with recomputed(explainer, figures) as again:
            assert [value_of(again, figure) for figure in figures] == [row["usd"] for row, _ in chosen.values()]
    assert found["estimate"] == {"openai.costs", "litellm.user_activity", "litellm.tag_activity_by_model"}
    assert found["no estimate"] == {"openai.costs"}
