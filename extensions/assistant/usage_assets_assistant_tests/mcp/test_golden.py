"""The golden set: what people ask an assistant, answered to the last digit, refused, or qualified (issue 34)."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from usage_assets_assistant_tests.mcp.golden import QUESTIONS, TRAPS, Question
from usage_assets_assistant_tests.mcp.golden_answers import Answer, ask, asking
from usage_assets_assistant_tests.mcp.golden_books import ABOUT, Books, text_of
from usage_assets_assistant_tests.mcp.golden_company import GoldenCompany, golden_company
from usage_assets_assistant_tests.mcp.golden_figures import (
    COUNT,
    KEPT,
    SEED,
    Figure,
    all_wrong,
    computed,
    drawn,
    first_of,
    hidden,
    wrong,
)
from usage_assets_tests.fixtures import Sandbox, set_all

pytestmark = pytest.mark.timeout(1800)

ALL = (*QUESTIONS, *TRAPS)


@pytest.fixture(scope="module")
def company(sandbox_process: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoldenCompany]:
    with golden_company(sandbox_process, tmp_path_factory.mktemp("golden")) as company:
        yield company


@pytest.fixture(scope="module")
def books(company: GoldenCompany) -> Books:
    return Books(company.keeper)


@dataclass(frozen=True)
class Asked:
    """What the servers said: one for each way to start it."""

    answers: Mapping[Question, Answer]
    kept: Sequence[Figure]
    """The first figure of each call of KEPT."""
    drawn: Sequence[Figure]
    computed: Sequence[Figure]
    hidden: Sequence[Figure]


@pytest.fixture(scope="module")
def asked(company: GoldenCompany) -> Iterator[Asked]:
    """The answers, and commands run where the company's files are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(company.folder)
        set_all(patch, {**company.environment, "USAGE_HASH_KEY": "key"})
        yield asyncio.run(asked_of())


async def asked_of() -> Asked:
    """Ask every question, and for every figure."""
    answers: dict[Question, Answer] = {}
    kept: dict[int, Figure] = {}
    others: dict[str, Any] = {}
    for options in sorted({question.options for question in ALL} | {options for options, _ in KEPT}):
        async with asking(*options) as client:
            for question in ALL:
                if question.options == options:
                    answers[question] = await ask(client, question.tool, question.arguments)
            for number, (of_call, arguments) in enumerate(KEPT):
                if of_call == options:
                    kept[number] = await first_of(client, arguments)
            if not options:
                others["drawn"] = await drawn(client, Random(SEED), COUNT)
                others["computed"] = await computed(client)
                others["hidden"] = [figure async for figure in hidden(client)]
    return Asked(answers=answers, kept=[kept[number] for number in range(len(KEPT))], **others)


def test_every_question_is_answered_to_the_last_digit(asked: Asked, books: Books) -> None:
    assert not_as_expected(QUESTIONS, asked, books) == {}


def test_every_trap_is_refused_or_qualified(asked: Asked, books: Books) -> None:
    assert not_as_expected(TRAPS, asked, books) == {}


def not_as_expected(questions: Sequence[Question], asked: Asked, books: Books) -> Mapping[str, str]:
    """Question -> what is wrong with its answer."""
    found = {}
    for question in questions:
        try:
            is_as_expected(question, asked.answers[question], books)
        except AssertionError as error:
            found[question.asked] = str(error)
    return found


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


def test_figures_and_those_of_people_and_filters_are_computed_again_from_archived_bytes(
    company: GoldenCompany, asked: Asked
) -> None:
    """A command finds its figure, also where people are hidden, and keeps what the call keeps."""
    assert len(asked.drawn) == COUNT
    assert {figure.name for figure in asked.hidden} == {"amount"}
    found = [figure for figure in asked.hidden if figure.command]
    assert [*all_wrong([*asked.drawn, *found, *asked.kept], company)] == []
    of_command = [*asked.drawn[:1], *found[:1]]
    assert all_wrong_alone(of_command) == [], "the command itself says the same"


def test_computed_figures_are_computed_again_from_archived_bytes(asked: Asked) -> None:
    assert {figure.tool for figure in asked.computed} == {"budgets", "forecast"}
    assert all_wrong_alone(asked.computed) == []


def all_wrong_alone(figures: Sequence[Figure]) -> list[str]:
    """What the commands of figures say instead."""
    return [said for figure in figures if (said := wrong(figure))]
