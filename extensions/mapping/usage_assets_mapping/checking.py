"""What is wrong with a mapping, what each mistake loses, and how the known ones are mended.

Expressions are tried on made-up answers (``examples.py``), so nothing must be stored. What needs a person's decision is
only reported.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from usage_assets.config.settings import Connection
from usage_assets_mapping.entities import Mapped, entities_of, outputs_of
from usage_assets_mapping.errors import MappingError
from usage_assets_mapping.evaluating import Evaluator
from usage_assets_mapping.examples import DAYS, Example, Names, example_of
from usage_assets_mapping.questions import (
    Answer,
    RefusedError,
    answer_to,
    in_words,
    providers_with,
    question_of,
)
from usage_assets_mapping.reading import Expression, MappingFile, Resource
from usage_assets_mapping.tokens import Token, tokens_of

Level = Literal["error", "warning", "note"]
UNKNOWN = "unknown"
"""What stands for a dimension that the provider states no value of, as in our own entities."""
IF_NULL = "| if . == null"
"""How a field that may be false is mended: to ``//``, false is as null."""
MONEY_UNITS = frozenset(("cents", "currency units"))
_LIST = re.compile(r"(?:\.[A-Za-z_]\w*)+\[\]")
_UNDEFINED = re.compile(r"\b(\w+)/0 is not defined")
_TIME = re.compile(r"time(stamp)?$")
_TERM = re.compile(r"(?:\$[A-Za-z_]\w*)?(?:\.[A-Za-z_]\w*|\[\d*\]|\?)*$")
"""What a path continues, such as ``$bucket`` or ``.results[]``."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A mistake, or what a reader should know."""

    level: Level
    text: str
    """Begins with its place."""
    mended: Mapping[Expression, str] = field(default_factory=dict)
    """What ``--repair`` writes instead."""


@dataclass(frozen=True)
class Chain:
    """A path of fields in an expression, such as ``.results[0].amount``: names, and where it is in the text."""

    path: Names
    start: int
    end: int
    takes_first: bool
    """Whether ``[0]`` is in it."""

    def mended(self, text: str, then: str) -> str:
        """Return an expression in which what the path gives goes through more JQ."""
        before, path, after = text[: self.start], text[self.start : self.end], text[self.end :]
        found = _TERM.search(before)
        term = found[0] if found else ""
        return f"{before.removesuffix(term)}({f'{term} | ' if term else ''}{path} {then}){after}"


def chains_of(expression: Expression) -> Iterator[Chain]:
    """Yield the paths that an expression reads."""
    tokens = [*tokens_of(expression.text), Token("mark", "", len(expression.text))]
    n = 0
    while n < len(tokens):
        if tokens[n].kind != "field":
            n += 1
            continue
        start, names, is_first = tokens[n].at, [], False
        while True:
            if tokens[n].kind == "field":
                names.append(tokens[n].text[1:])
                end, n = tokens[n].at + len(tokens[n].text), n + 1
            elif [each.text for each in tokens[n : n + 3]] == ["[", "0", "]"]:
                is_first, n = True, n + 3
            elif tokens[n].text == "?":
                n += 1
            else:
                break
        yield Chain(tuple(names), start, end, is_first)


@dataclass
class Check:
    """A check of one resource against the connections."""

    resource: Resource
    evaluator: Evaluator
    findings: list[Finding] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def run(self, connections: Sequence[Connection]) -> None:
        """Find what there is to say."""
        self._ask(connections)
        if not self._compiles():
            return
        self._constant()
        example = example_of(self.answers[0]) if self.answers else None
        try:
            if example:
                self._fields(example)
                self._try(example)
            else:
                self._numbers()
        except MappingError as error:
            self.findings.append(Finding(level="error", text=f"{error} (tried on a made-up answer)"))

    def _say(self, level: Level, place: str, text: str, mended: Mapping[Expression, str] | None = None) -> None:
        """Note a finding. What would be written instead must be JQ."""
        sound = {each: mend for each, mend in (mended or {}).items() if self._is_jq(mend)}
        self.findings.append(Finding(level=level, text=f"{place}: {text}", mended=sound))

    def _is_jq(self, text: str) -> bool:
        self.evaluator.load([])
        try:
            self.evaluator.first(text, "")
        except MappingError:
            return False
        return True

    def _ask(self, connections: Sequence[Connection]) -> None:
        resource, refusals = self.resource, []
        for connection in connections:
            try:
                if answer := answer_to(resource, connection):
                    self.answers.append(answer)
            except RefusedError as error:
                refusals.append(Finding(level="error", text=str(error)))
        if self.answers:
            return
        self.findings += refusals
        if not refusals:
            names, providers = ", ".join(each.name for each in connections), ", ".join(providers_with(resource))
            instead = f"provider {providers} has it: add a connection" if providers else "no provider has it, either"
            path = f"/{question_of(resource).path}"
            self._say("error", resource.place, f"{path}: no endpoint of {names} has this path; {instead}")

    def _compiles(self) -> bool:
        """Say which expressions cannot run. Returns whether all can."""
        before = len(self.findings)
        extra = (("data_path", self.resource.data_path), ("itemsToParse", self.resource.items_to_parse))
        self.evaluator.load([])
        for name, expression in (*extra, *self.resource.expressions()):
            try:
                if expression:
                    self.evaluator.first(expression.text, f"{expression.place}: {name}")
            except MappingError as error:
                advice = _advice(expression, str(error)) if expression else ""
                self.findings.append(Finding(level="error", text=f"{error}{advice}"))
        return len(self.findings) == before

    def _constant(self) -> None:
        """Say what needs no answer to be known."""
        resource = self.resource
        if resource.data_path is None and resource.items_to_parse is None:
            self._say("warning", resource.place, "without data_path, the whole answer is one item: one entity a day")
        for name, expression in resource.expressions():
            if any(token == ("name", "now", token.at) for token in tokens_of(expression.text)):
                self._say("note", expression.place, f"{name}: now is when the answer was stored")
        for stated in resource.not_used:
            place, _, key = stated.rpartition(": ")
            self._say("note", place, f"{key} is not used: the connection has its own")
        if resource.data_path and _LIST.fullmatch(resource.data_path.text):
            self._many_outputs(resource.data_path, resource.data_path.text.removesuffix("[]"))

    def _numbers(self) -> None:
        """Say which expressions fail if times are numbers, as providers send them."""
        for name, expression in self.resource.expressions():
            times = {chain.path for chain in chains_of(expression) if _TIME.search(chain.path[-1])}
            for path in sorted(times):
                item = "1767225600"
                for each in reversed(path):
                    item = f'{{"{each}": {item}}}'
                self.evaluator.load([item])
                [outcome] = self.evaluator.first(expression.text, expression.place)
                if outcome.failure:
                    what = f"{name}: fails where .{'.'.join(path)} is a number ({outcome.failure}): use | todate"
                    self._say("warning", expression.place, what)

    def _fields(self, example: Example) -> None:
        """Say which fields the answer does not have, which are money, and which may be null in identifiers."""
        nullable = example.nullable
        in_identifier = {_declared(chain, nullable) for chain in chains_of(self.resource.identifier)}
        for name, expression in self.resource.expressions():
            for chain in chains_of(expression):
                self._renamed(name, expression, chain, example)
                if chain.takes_first and example.dimensions:
                    by = ", ".join(example.dimensions)
                    what = (
                        f"{name}: [0] keeps one result of each day, but they are grouped by {by}: the others are lost"
                    )
                    self._say("warning", expression.place, what)
                path = _declared(chain, nullable & in_identifier)
                is_bool = path in example.booleans
                is_known = expression.text[chain.end :].lstrip().startswith(("//", IF_NULL))
                if path and not is_known and (name == "identifier" or not (is_bool or name == "query")):
                    self._null(name, expression, chain, is_bool=is_bool)
            self._money(name, expression, example)

    def _renamed(self, name: str, expression: Expression, chain: Chain, example: Example) -> None:
        declared = [each.path for each in example.fields.values()]
        alike = [
            path
            for path in declared
            if len(path) > 1 and chain.path[-len(path) : -1] == path[:-1] and path[-1].startswith(f"{chain.path[-1]}_")
        ]
        if len(alike) != 1 or _declared(chain, declared):
            return
        right = f".{'.'.join((*chain.path[:-1], alike[0][-1]))}"
        text = expression.text[: chain.start] + right + expression.text[chain.end :]
        what = f"{name}: the answer has no .{'.'.join(chain.path)}, it is {right}: the value is always missing"
        self._say("warning", expression.place, what, {expression: text})

    def _null(self, name: str, expression: Expression, chain: Chain, *, is_bool: bool) -> None:
        stated = expression.text[chain.start : chain.end]
        known = f'{IF_NULL} then "{UNKNOWN}" else . end'
        text = chain.mended(expression.text, known if is_bool else f'// "{UNKNOWN}"')
        lost = "all rows without it get one identifier" if name == "identifier" else "identifiers say it is unknown"
        what = f"{name}: {stated} may be null: {lost}"
        self._say("warning", expression.place, what, {expression: text})

    def _money(self, name: str, expression: Expression, example: Example) -> None:
        if not name.startswith("properties."):
            return
        money = {each.path: each for each in example.fields.values() if each.column.unit in MONEY_UNITS}
        paths = {_declared(chain, money) for chain in chains_of(expression)}
        for path in sorted(path for path in paths if path):
            row, found = example.answer.endpoint.row, money[path]
            exact = f"{row.table}.{found.column.name}"
            self._say("note", expression.place, f"{name}: JQ computes with doubles; {exact} is exact")
            divides = any(token.kind == "mark" and token.text in ("/", "*") for token in tokens_of(expression.text))
            if found.column.unit == "cents" and not divides:
                what = f"{name}: the provider sends cents: as dollars it is 100 times too much"
                self._say("warning", expression.place, what, {expression: _within("(", expression.text, ") / 100")})

    def _try(self, example: Example) -> None:
        """Evaluate over made-up answers."""
        resource, evaluator = self.resource, self.evaluator
        others = [*example.others()]
        outputs = outputs_of(evaluator, resource, example.body(DAYS[0], *(row for _, row in others)))
        one, later = (entities_of(evaluator, resource, example.body(day)) for day in DAYS)
        if len(outputs) > 1 and resource.data_path and not _LIST.fullmatch(resource.data_path.text):
            self._many_outputs(resource.data_path, _within("[", resource.data_path.text, "]"))
        for place, (_, reason) in one.failures.items():
            self._say("warning", place, f"fails on a made-up answer, so it is null: {reason}")
        self._never(one)
        self._amounts(example)
        if one.entities and {each.identifier for each in one.entities} == {each.identifier for each in later.entities}:
            self._say("note", resource.identifier.place, "identifier has no day: an entity shows its newest day")
        if lost := [name for name, row in others if self._collides(example, row)]:
            what = f"rows that differ only in {', '.join(lost)} get one identifier: the last one wins"
            self._say("warning", resource.identifier.place, f"identifier: {what}")

    def _many_outputs(self, data_path: Expression, mended: str) -> None:
        what = "data_path gives several outputs: Ocean keeps the first one of each page, here all are items"
        self._say("warning", data_path.place, what, {data_path: mended})

    def _never(self, mapped: Mapped) -> None:
        """Say which expressions give null although the answer has a value in each field of these groups."""
        for name, expression in self.resource.expressions():
            if name == "query" or f"{expression.place}: {name}" in mapped.failures:
                continue
            values = _values(mapped, name)
            if values and values == [None] * len(values):
                self._say("warning", expression.place, f"{name}: gives no value on a made-up answer of these groups")

    def _amounts(self, example: Example) -> None:
        """Say which expressions need amounts to be numbers: providers send numbers or texts."""
        rows = [row for _, row in example.others()][:1]
        bodies = (example.body(DAYS[0], *rows, amounts=each) for each in (float, str))
        numbers, texts = (entities_of(self.evaluator, self.resource, body) for body in bodies)
        for name, expression in self.resource.expressions():
            chains = [chain for chain in chains_of(expression) if _declared(chain, example.amounts)]
            here, there = _values(numbers, name), _values(texts, name)
            if not chains or here == there or (name != "query" and len(here) != len(there)):
                continue
            given = "keeps other items" if name == "query" else f"gives {json.dumps(there[0])}"
            _, reason = texts.failures.get(f"{expression.place}: {name}", (0, ""))
            what = f"fails where an amount is a text ({reason})" if reason else f"{given} where an amount is a text"
            mended = expression.text
            for chain in reversed(chains):
                mended = chain.mended(mended, "| tonumber")
            is_passed_on = [*map(str, here)] == there  # a property may well be a text
            mends = {} if is_passed_on else {expression: mended}
            self._say("warning", expression.place, f"{name}: {what}: use | tonumber", mends)

    def _collides(self, example: Example, row: Mapping[Names, object]) -> bool:
        """Whether two rows of one day become one entity, whatever else is known of them."""
        named = replace(self.resource, title=None, icon=None, team=None, properties={}, relations={})
        for unknown in ((), example.nullable - {*row}):
            try:
                found = entities_of(self.evaluator, named, example.body(DAYS[0], row, unknown=unknown)).entities
            except MappingError:  # nothing can be said of a row without its other dimensions
                continue
            if len({(each.blueprint, each.identifier) for each in found}) == len(found):
                return False
        return True


def _within(before: str, text: str, after: str) -> str:
    """Return an expression between two others. A comment at its end takes in the rest of its line."""
    end = max((token.at + len(token.text) for token in tokens_of(text)), default=0)
    return f"{before}{text.rstrip()}\n{after}" if text[end:].strip() else f"{before}{text}{after}"


def _advice(expression: Expression, said: str) -> str:
    """Return what to do about an expression that jq cannot read, where it is known."""
    if expression.style == ">" and "#" in expression.text:
        return ": > joins the lines, so a comment takes in the rest: write |"
    if any(each in expression.text for each in "\u2018\u2019\u201c\u201d"):
        return ": type straight quotes instead of curly ones"
    if name := _UNDEFINED.search(said):
        return f""": a fixed text is '"{name[1]}"'"""
    return ""


def _values(mapped: Mapped, name: str) -> list[Any]:
    """Return what an expression gives for each entity; of the query, which entities there are."""
    group, _, key = name.partition(".")
    if group == "query":
        return [True] * len(mapped.entities)
    return [getattr(each, group)[key] if key else getattr(each, group) for each in mapped.entities]


def _declared(chain: Chain, paths: Collection[Names]) -> Names | None:
    """Return the declared path that a chain ends in."""
    return next((path for path in paths if chain.path[-len(path) :] == path), None)


def check(file: MappingFile, connections: Sequence[Connection]) -> Iterator[Check]:
    """Yield what is found of each resource. Raises MappingError where JQ cannot be run at all."""
    with Evaluator() as evaluator:
        for resource in file.resources:
            found = Check(resource, evaluator)
            found.run(connections)
            yield found


def words_of(found: Check) -> Iterator[str]:
    """Yield what is found of a resource, in lines."""
    for answer in found.answers:
        yield from in_words(answer)
    for finding in found.findings:
        mends = " (--repair mends it)" if finding.mended else ""
        yield f"{finding.level.upper()} {finding.text}{mends}"
