"""The golden set: what people ask an assistant, answered to the last digit, refused, or qualified (issue 34)."""

import asyncio
from collections.abc import Iterator, Mapping
from random import Random

import pytest

from usage_assets_tests.conftest import Sandbox
from usage_assets_tests.features.mcp.golden import QUESTIONS, TRAPS, Question
from usage_assets_tests.features.mcp.golden_answers import Answer, ask, asking
from usage_assets_tests.features.mcp.golden_books import ABOUT, Books, text_of
from usage_assets_tests.features.mcp.golden_company import GoldenCompany, golden_company
from usage_assets_tests.features.mcp.golden_figures import (
    COUNT,
    KEPT,
    OF_A_CALL,
    SEED,
    Figure,
    all_wrong,
    computed,
    drawn,
    first_of,
    hidden,
    without_command,
    wrong,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ALL = (*QUESTIONS, *TRAPS)


@pytest.fixture(scope="module")
def company(sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoldenCompany]:
    with golden_company(sandbox_process, tmp_path_factory.mktemp("golden")) as company:
        yield company


@pytest.fixture(scope="module")
def books(company: GoldenCompany) -> Books:
    return Books(company.keeper)


@pytest.fixture(scope="module")
def answers(company: GoldenCompany) -> Mapping[Question, Answer]:
    return asyncio.run(answers_of(company))


async def answers_of(company: GoldenCompany) -> Mapping[Question, Answer]:
    """Every question, asked of one server for each way to start it."""
    found = {}
    for options in sorted({question.options for question in ALL}):
        async with asking(company.folder, {**company.environment, "USAGE_HASH_KEY": "key"}, *options) as client:
            for question in ALL:
                if question.options == options:
                    found[question] = await ask(client, question.tool, question.arguments)
    return found


def parameters(questions: tuple[Question, ...]) -> list[object]:
    """One test for each question."""
    return [pytest.param(question, id=question.asked) for question in questions]


@pytest.mark.parametrize("question", parameters(QUESTIONS))
def test_a_question_is_answered_to_the_last_digit(
    question: Question, answers: Mapping[Question, Answer], books: Books
) -> None:
    is_as_expected(question, answers[question], books)


@pytest.mark.parametrize("question", parameters(TRAPS))
def test_a_trap_is_refused_or_qualified(question: Question, answers: Mapping[Question, Answer], books: Books) -> None:
    is_as_expected(question, answers[question], books)


def is_as_expected(question: Question, answer: Answer, books: Books) -> None:
    """Compare an answer with all that its question says of it."""
    if question.refused:
        assert answer.is_refused, answer.text
        assert question.refused in answer.text
        assert len(answer.text.splitlines()) == 1
        return
    assert not answer.is_refused, answer.text
    for said in question.says:
        assert said in answer.said
    if question.sums:
        has_these_sums(question, answer, books)
    if question.table:
        assert answer.rows == [list(row) for row in question.table(books)]
    if question.holds:
        question.holds(books, answer)


def has_these_sums(question: Question, answer: Answer, books: Books) -> None:
    """The rows of `spend` are the books', each once, and the totals are their sums."""
    assert question.sums
    names = ABOUT[question.arguments.get("by", "cost_basis")]
    expected = question.sums(books)
    found = [
        ((*(row["about"].get(name) for name in names), row["cost_basis"], row["unit"]), row["values"]["amount"])
        for row in answer.rows
    ]
    assert len(found) == len(dict(found)) == answer.content["row_count"]
    assert dict(found) == {key: text_of(amount) for key, amount in expected.items()}
    totals = {(row["cost_basis"], row["unit"]): row["values"]["amount"] for row in answer.content["totals"]}
    assert totals == {
        of: text_of(sum(amount for key, amount in expected.items() if key[-2:] == of))
        for of in {key[-2:] for key in expected}
    }


def test_the_set_has_fifty_questions_and_twenty_traps_and_every_tool() -> None:
    assert len(QUESTIONS) >= 50
    assert len(TRAPS) >= 20
    assert {question.tool for question in ALL} == {
        *("budgets", "compare", "describe", "due", "explain", "forecast", "incidents", "query", "seats", "spend"),
        *("unit_costs", "what_if"),
    }


def test_two_hundred_figures_are_computed_again_from_archived_bytes(
    company: GoldenCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(company, monkeypatch)

    async def draw() -> list[Figure]:
        async with asking(company.folder, company.environment) as client:
            return await drawn(client, Random(SEED), COUNT)

    figures = asyncio.run(draw())
    assert len(figures) == COUNT
    assert [*all_wrong(figures, company)] == []
    assert [said for figure in figures[:OF_A_CALL] if (said := wrong(figure))] == [], "the command itself says the same"


def test_computed_figures_are_computed_again_from_archived_bytes(
    company: GoldenCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(company, monkeypatch)

    async def ask_for_them() -> list[Figure]:
        async with asking(company.folder, company.environment) as client:
            return await computed(client)

    figures = asyncio.run(ask_for_them())
    assert {figure.tool for figure in figures} == {"budgets", "forecast", "incidents"}
    assert [said for figure in figures if (said := wrong(figure))] == []


def test_a_command_that_is_given_finds_its_figure(company: GoldenCompany, monkeypatch: pytest.MonkeyPatch) -> None:
    at_home(company, monkeypatch)

    async def draw() -> list[Figure]:
        async with asking(company.folder, company.environment) as client:
            return [figure async for figure in hidden(client)]

    figures = asyncio.run(draw())
    assert {figure.name for figure in figures} == {"amount"}
    assert [said for figure in figures if figure.command and (said := wrong(figure))] == []


@pytest.mark.parametrize(("options", "arguments"), KEPT)
def test_a_command_keeps_what_the_call_keeps(
    options: tuple[str, ...], arguments: Mapping[str, str], company: GoldenCompany, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home(company, monkeypatch)

    async def first() -> Figure:
        async with asking(company.folder, company.environment, *options) as client:
            return await first_of(client, arguments)

    assert wrong(asyncio.run(first())) is None


def test_what_a_project_and_a_workspace_of_one_name_cost_has_no_command(company: GoldenCompany) -> None:
    async def first() -> Figure:
        async with asking(company.folder, company.environment) as client:
            return await first_of(client, {"by": "day", "project": "Checkout"})

    assert asyncio.run(first()).command is None


def test_figures_that_give_no_command_are_these(company: GoldenCompany) -> None:
    async def count() -> Mapping[str, int]:
        async with asking(company.folder, company.environment) as client:
            return await without_command(client)

    found = asyncio.run(count())
    assert found.keys() == {"compare", "unit_costs", "seats", "what_if", "incidents"}


def at_home(company: GoldenCompany, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands run where the company's files are."""
    monkeypatch.chdir(company.folder)
    for name, value in company.environment.items():
        monkeypatch.setenv(name, value)
