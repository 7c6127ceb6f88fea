"""Reads days from the archive again, in the same way as when they were fetched, without a request."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TypeVar

import msgspec

from usage_assets.core.days import spans
from usage_assets.core.schema import of_days
from usage_assets.core.ticking import log_progress
from usage_assets.fetching.archive.files import ArchiveError, File, Question
from usage_assets.fetching.archive.store import Archive, newest, question_of
from usage_assets.fetching.client import (
    FetchResult,
    days_without_bucket,
    fetched_from,
    no_bucket_for,
    read_page,
    without,
)
from usage_assets.fetching.page_parser import PageParser
from usage_assets.fetching.scope import Scope
from usage_assets.fetching.transport import PermanentError, ProviderError
from usage_assets.providers.endpoint import Endpoint
from usage_assets.providers.records import UNKNOWN_SHAPE, ShapeError

logger = logging.getLogger(__name__)
P = TypeVar("P", bound=PageParser)


class Replay:
    """A connection's archived answers, to be fetched as from its provider."""

    def __init__(self, archive: Archive, scope: Scope) -> None:
        self._archive = archive
        self.scope = scope

    def fetch(self, endpoint: Endpoint, days: Sequence[date], *, partly: bool = False) -> FetchResult:
        """What the newest archived answer has for each of the days.

        Raises PermanentError that names the days that no answer covers, or the file that cannot be read. With
        ``partly``, these days are left out instead (``FetchResult.not_fetched``).
        """
        not_fetched: dict[date, ProviderError] = {}
        while True:
            try:
                fetched = self._fetch(endpoint, [day for day in days if day not in not_fetched])
            except PermanentError as error:
                if not partly or not error.days:
                    raise
                not_fetched |= dict.fromkeys(error.days, error)
            else:
                return without(fetched, not_fetched)

    def _fetch(self, endpoint: Endpoint, days: Sequence[date]) -> FetchResult:
        chosen = self.newest(endpoint, days)
        parsers: list[PageParser] = []
        with log_progress(logger.info, self._place(endpoint)) as note:
            for file, own in chosen:
                note(f"{len(parsers)} of {len(chosen)} archived answers are read")
                parsers.append(self.read(endpoint, file, own, PageParser))
        stored_at: dict[date, datetime] = {}
        for file, own in chosen:
            stored_at |= {day: min(file.stored_at, stored_at.get(day, file.stored_at)) for day in own}
        fetched = fetched_from(endpoint, parsers, Counter())
        return replace(fetched, stored_at=stored_at)

    def newest(
        self, endpoint: Endpoint, days: Sequence[date], before: datetime | None = None
    ) -> Sequence[tuple[File, Sequence[date]]]:
        """Return the newest answers, each with the days that it is the newest for. Raises PermanentError.

        ``before``: only those that were stored before this time.
        """
        return [part for query in endpoint.queries for part in self._newest(endpoint, query, days, before).items()]

    def days_without_answer(self, endpoint: Endpoint, days: Sequence[date]) -> Sequence[date]:
        """The days that cannot be derived again: for a query, or for control totals, there is no answer.

        No answer is read, only what the names and lists of files say.
        """
        asked = [endpoint, *([endpoint.ungrouped] if endpoint.must_add_up else [])]
        questions = [question_of(each, query, self.scope) for each in asked for query in each.queries]
        answered = set(days)
        for question in questions:
            files = [file for file in self._archive.files(question, days) if file.series]
            answered &= {day for day in days if any(day in file.window for file in files)}
        return [day for day in days if day not in answered]

    def _newest(
        self, endpoint: Endpoint, query: Mapping[str, str], days: Sequence[date], before: datetime | None
    ) -> dict[File, list[date]]:
        question = question_of(endpoint, query, self.scope)
        files = self._archive.files(question, days)
        chosen = newest([file for file in files if before is None or file.stored_at < before], days)
        if missing := set(days).difference(*chosen.values()):
            raise PermanentError(
                self._not_covered(question, missing), place=self._place(endpoint), days=sorted(missing)
            )
        return chosen

    def _not_covered(self, question: Question, missing: set[date]) -> str:
        is_narrowed = question.filters or question.headers
        narrowed = " with the connection's present filters, organization and project" if is_narrowed else ""
        return (
            f"{self._archive.folder} has no answer{narrowed} for {spans(missing)}. "
            "It was not stored: leave these days out, or fetch them from the provider."
        )

    def _place(self, endpoint: Endpoint) -> str:
        return f"{self.scope.connection} {endpoint.name}"

    def read(self, endpoint: Endpoint, file: File, days: Sequence[date], parser_type: type[P]) -> P:
        """The pages of a file as rows, those days only. Raises PermanentError."""
        try:
            query, grouped_by = file.asked.question.query, file.asked.grouped_by
            parser = parser_type(self.scope, file.window, query, grouped_by)
            for content in file.pages():
                read_page(endpoint, parser, self.scope.people.forgotten.in_json(content))
        except ArchiveError as error:
            raise PermanentError(str(error), place=self._place(endpoint), days=days) from None
        except (ShapeError, msgspec.DecodeError) as error:
            advice = error.advice if isinstance(error, ShapeError) else UNKNOWN_SHAPE
            what = f"{file.path}: {error}. {advice}."
            raise PermanentError(what, place=self._place(endpoint), days=days) from None
        if silent := days_without_bucket(endpoint, parser, days):
            what = f"{file.path}: {no_bucket_for(silent)}. It was not stored: fetch these days from the provider"
            raise PermanentError(f"{what}.", place=self._place(endpoint), days=silent)
        if len(days) < len(file.window.days):
            parser.tables = [of_days(table, days) for table in parser.tables]
        return parser
