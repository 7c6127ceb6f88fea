"""What a resource asks the provider, and how a stored day of a connection answers it.

A stored day answers only what can be derived exactly: the groups that it was asked with, or fewer. Everything else is
refused by name.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal
from urllib.parse import parse_qsl, quote, urlsplit

from usage_assets.config.settings import Connection
from usage_assets.core.days import Window
from usage_assets.fetching.connected import endpoints_of, filters_of
from usage_assets.providers import PROVIDERS
from usage_assets.providers.endpoint import Endpoint, Provider
from usage_assets.providers.listed import Listed
from usage_assets_mapping.errors import MappingError
from usage_assets_mapping.reading import Resource

GROUP_BY = ("group_by[]", "group_by")
LIMIT = "limit"
_ANY_DAY = Window(date(2026, 1, 1), date(2026, 1, 1))


class RefusedError(MappingError):
    """A resource that no stored day answers exactly."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a stored day answers a resource."""

    connection: str
    endpoint: Endpoint
    how: Literal["archived", "added up"]
    """An archived answer of exactly these groups, or the sums of one with more."""
    groups: tuple[str, ...]
    """The dimensions that the resource asks for, in its order. All others are null in the answer."""
    selected: Mapping[str, Sequence[str]]
    """Dimension -> the values that the resource's filters leave."""
    query: Mapping[str, str]
    """Which of the endpoint's requests answers it (``Endpoint.queries``)."""
    of_partition: tuple[str, ...]
    """Parameters of the resource that mean nothing: the day decides them."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A resource's kind and parameters, taken apart."""

    path: str
    method: str
    params: Mapping[str, Sequence[str]]


def question_of(resource: Resource) -> Question:
    """Return what a resource asks. A query in its kind counts as parameters."""
    parts = urlsplit(resource.kind)
    params: dict[str, Sequence[str]] = dict(resource.query_params)
    for name, value in parse_qsl(parts.query):
        params[name] = (*params.get(name, ()), value)
    return Question(path=parts.path.strip("/"), method=resource.method, params=params)


def answer_to(resource: Resource, connection: Connection) -> Answer | None:
    """Return how a stored day of the connection answers a resource; None where its provider has no such path.

    Raises RefusedError for what no stored day of it answers.
    """
    provider, question = PROVIDERS[connection.provider], question_of(resource)
    if provider.reads_files:
        return None
    fetched, urls = endpoints_of(provider, connection), ["", connection.base_url, provider.base_url]
    answers: list[Answer] = []
    refusals: list[str] = []
    for endpoint in provider.endpoints:
        if not _is_asked(endpoint, question, urls, connection.ids):
            continue
        if endpoint not in fetched:
            refusals.append(
                f"connection {connection.name} does not fetch {endpoint.name}: switch it on in its endpoints"
            )
            continue
        for query in endpoint.queries:
            try:
                answers.append(_answer(question, endpoint, query, provider, connection))
            except RefusedError as error:
                refusals.append(str(error))
    if answers:
        return min(answers, key=lambda each: (each.how != "archived", len(each.endpoint.group_by)))
    if refusals:
        raise RefusedError(f"{resource.place}: {resource.name}: {refusals[0]}")
    if any(_is_asked(lookup, question, urls, connection.ids) for lookup in provider.lookups):
        raise RefusedError(
            f"{resource.place}: {resource.name}: /{question.path} is a list without days: it has no partitions"
        )
    return None


def providers_with(resource: Resource) -> list[str]:
    """Return the providers that have an endpoint with a resource's path below their own base URL."""
    question = question_of(resource)
    return [
        name
        for name, provider in PROVIDERS.items()
        if any(_is_asked(endpoint, question, ["", provider.base_url], {}) for endpoint in provider.endpoints)
    ]


def _is_asked(listed: Listed, question: Question, urls: Sequence[str], ids: Mapping[str, str]) -> bool:
    """Whether a path means an endpoint, below the path of one of the URLs."""
    bases = [urlsplit(url).path.strip("/") for url in urls]
    paths = [path for path in (listed.path, listed.or_path) if path]
    return any(
        re.fullmatch(_pattern(f"{base}/{path}".strip("/"), ids), question.path) for base in bases for path in paths
    )


def _pattern(path: str, ids: Mapping[str, str]) -> str:
    """Return what matches a path with the connection's ids, or with their names in braces."""
    parts = re.split(r"\{(\w+)\}", path)
    for n, name in enumerate(parts):
        stated = re.escape(quote(ids[name], safe="")) if name in ids else "[^/{}]+"
        parts[n] = rf"(?:\{{{name}\}}|{stated})" if n % 2 else re.escape(name)
    return "".join(parts)


def _answer(
    question: Question, endpoint: Endpoint, query: Mapping[str, str], provider: Provider, connection: Connection
) -> Answer:
    """Return how the endpoint's stored days answer a question. Raises RefusedError."""
    if question.method != endpoint.method:
        raise RefusedError(f"method {question.method}: {endpoint.name} is read with {endpoint.method}")
    fixed = {**endpoint.params, **query}
    of_partition = [name for name in question.params if name in _partition_names(provider, endpoint)]
    groups = _groups(question, fixed)
    selected: dict[str, Sequence[str]] = {}
    own_filters = filters_of(endpoint, connection)
    seen: set[str] = set()
    for name, values in question.params.items():
        bare = name.removesuffix("[]")
        if name in of_partition or (name in GROUP_BY and name not in fixed):
            continue
        if name in fixed:
            if tuple(values) != (fixed[name],):
                raise RefusedError(f"{name}={','.join(values)}: stored days are asked with {name}={fixed[name]}")
        elif bare in own_filters and set(own_filters[bare]) == set(values):
            seen.add(bare)
        elif dimension := _dimension(bare, endpoint):
            selected[dimension] = values
            seen.add(bare)
        else:
            raise RefusedError(f"{name}: stored days of {endpoint.name} are not asked with it")  # it may be a key
    if missing := next((name for name in query if name not in question.params), None):
        raise RefusedError(f"{endpoint.name} needs {missing}={query[missing]}: state it in query_params")
    if unstated := next((name for name in own_filters if name not in seen), None):
        stated = f"{unstated}={','.join(own_filters[unstated])}"
        raise RefusedError(f"connection {connection.name} stores {stated} only: state the same in query_params")
    if other := [name for name in groups if name not in endpoint.group_by]:
        known = ", ".join(endpoint.group_by) or "nothing"
        raise RefusedError(f"group_by {', '.join(other)}: stored days of {endpoint.name} are grouped by {known}")
    is_whole = set(groups) == set(endpoint.group_by) or (not groups and endpoint.must_add_up is not None)
    return Answer(
        connection=connection.name,
        endpoint=endpoint,
        how="archived" if is_whole and not selected else "added up",
        groups=groups,
        selected=selected,
        query=query,
        of_partition=tuple(of_partition),
    )


def _partition_names(provider: Provider, endpoint: Endpoint) -> set[str]:
    """Return the parameters that a partition decides, of any endpoint: a page states some that another lacks."""
    names = {name for each in provider.endpoints for name in each.window_params(_ANY_DAY)}
    return names | {LIMIT, endpoint.page.parameter if endpoint.page else "page"}


def _groups(question: Question, fixed: Mapping[str, str]) -> tuple[str, ...]:
    """Return the dimensions that a question asks for. A parameter of that name may be a fixed one."""
    stated = (value for name in GROUP_BY if name not in fixed for value in question.params.get(name, ()))
    return tuple(dict.fromkeys(part.strip() for value in stated for part in value.split(",") if part.strip()))


def _dimension(filter_name: str, endpoint: Endpoint) -> str | None:
    """Return the dimension that a filter is about: ``project_ids`` selects values of ``project_id``."""
    return next((each for each in (filter_name, filter_name.removesuffix("s")) if each in endpoint.group_by), None)


def in_words(answer: Answer) -> Iterator[str]:
    """Yield how a stored day answers, in lines."""
    what = f"{answer.connection}/{answer.endpoint.name}"
    asked, stored = ", ".join(answer.groups), ", ".join(answer.endpoint.group_by)
    if answer.how == "archived":
        yield f"answered by {what}: archived, {f'grouped by {asked}' if asked else 'not grouped'}"
    else:
        to = f"to {asked}" if asked else "to one result a day"
        yield f"answered by {what}: added up {to}, from days grouped by {stored}; other dimensions are null"
    for dimension, values in answer.selected.items():
        yield f"only {dimension} = {', '.join(values)}"
    if answer.of_partition:
        yield f"the day decides {', '.join(answer.of_partition)}"
