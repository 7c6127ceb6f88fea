"""LiteLLM: a part of a bill that a gateway's tags take is traced to the answers of both."""

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
from usage_assets_tests.end_to_end.conftest import open_project, settings_in, with_main_endpoints
from usage_assets_tests.features.report.test_figures import start_of

DAY = last_days(1)


def variables(sandbox: Sandbox, folder: Path) -> dict[str, str]:
    """The environment of a project with a proxy and the bill of OpenAI behind it."""
    key, of_openai = folder / "key", with_main_endpoints(folder)
    key.write_text("sk-litellm-sandbox")
    connections = Path(of_openai["USAGE_CONNECTIONS"])
    connections.write_text(
        f'{connections.read_text()}[[connection]]\nname = "gateway"\nprovider = "litellm"\nkey = "file:{key}"\n'
        f'base_url = "{sandbox.base_url}/litellm"\nendpoints = {{ tag_activity_by_model = true }}\n'
        '[[tag_allocation]]\nconnection = "openai"\ngateway = "gateway"\ntags = "product:"\n'
    )
    return of_openai


@pytest.mark.usefixtures("place")
def test_a_part_of_a_bill_by_tag_is_explained_and_computed_again(sandbox: Sandbox, tmp_path: Path) -> None:
    """By the bill's answers and the gateway's. The command of a row of the report finds its dollars."""
    stated = variables(sandbox, tmp_path)
    with open_project(sandbox, tmp_path, stated) as project:
        for connection, raw in (("openai", "costs"), ("gateway", "user_activity")):
            more = ("usage_completions",) if connection == "openai" else ("tag_activity_by_model",)
            assert project.fetch(connection, DAY, raw, f"{raw}/daily_costs", *more).success
    publish(project.warehouse)
    settings = settings_in(sandbox, tmp_path, stated)
    with project.warehouse.reading() as database:
        database.execute("set threads = 1")  # queries are small: a second thread costs more than it saves
        tags = read_figure(database, "tags", Period.of_days(DAY[0], DAY[0]))
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
