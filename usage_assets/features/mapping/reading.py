"""Reads a mapping as people have it: the YAML of Port's Ocean Custom Integration, with the place of each expression.

The file is read as nodes with their places, so that it can be changed without touching anything else in it
(``changed``). Nothing here runs JQ, and no tag of YAML makes an object.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from usage_assets.core.errors import first_line, one_line
from usage_assets.features.mapping.errors import MappingError, extra_at

KEYS: Mapping[str, Collection[str]] = {
    "resources": ("name", "kind", "selector", "port"),
    "selector": ("query", "data_path", "query_params", "method", "headers", "pagination"),
    "port": ("entity", "itemsToParse", "itemsToParseName", "itemsToParseTopLevelTransform"),
    "entity": ("mappings",),
    "mappings": ("identifier", "title", "icon", "blueprint", "team", "properties", "relations"),
}
"""Key -> those that may be below it."""
NOT_USED: Mapping[str, str] = {
    "deleteDependentEntities": "entities that depend on a deleted one are never deleted",
    "createMissingRelatedEntities": "a target that Port does not have is named, and the relation to it stays empty",
    "enableMergeEntity": "entities are always merged: properties that people added stay",
    "entityDeletionThreshold": "a day deletes exactly the entities that it has lost, and a failed day deletes none",
}
"""Root key of Ocean -> what happens here whatever it says."""
FOLD = "\a"
"""What the parser leaves in a folded text where a line was joined to the one before."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ENTRY = re.compile(r"(?P<key> *(?:- +)*[^\s#'\"][^:#]*:[ \t]+)(?P<value>[^'|>\s].*?)[ \t]*")


@dataclass(frozen=True)
class Expression:
    """A text in the file, mostly JQ."""

    text: str
    place: str
    """``file:line``."""
    start: int
    end: int
    """What it takes in the file's text, with its quotes."""
    style: str | None = None
    """Its quote, or ``|`` or ``>`` of a block."""

    def __str__(self) -> str:
        return self.text

    def rendered(self, text: str, source: str) -> str:
        """Return another text, written as this one is."""
        if self.style in ("|", ">"):
            header, *lines = source[self.start : self.end].splitlines()
            indent = next((line[: len(line) - len(line.lstrip())] for line in lines if line.strip()), "  ")
            return "\n".join([header.replace(">", "|"), *(indent + line for line in text.splitlines()), ""])
        if "\n" in text:
            return json.dumps(text, ensure_ascii=False)
        return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A question to the provider, and the entities that its answer becomes."""

    name: str
    """Stable: stated, or made of its kind and blueprint."""
    place: str
    text: str
    """All of it, as the file has it."""
    kind: str
    """Path of the endpoint, perhaps with a query."""
    query: Expression | None
    """Which items become entities; None: all."""
    data_path: Expression | None
    """Where the items are in the answer; None: the whole answer is one item."""
    query_params: Mapping[str, Sequence[str]]
    method: str
    items_to_parse: Expression | None
    items_to_parse_name: str
    items_to_parse_top_level_transform: bool
    """Whether the list of ``items_to_parse`` is taken out of what its items get."""
    identifier: Expression
    blueprint: Expression
    title: Expression | None
    icon: Expression | None
    team: Expression | None
    properties: Mapping[str, Expression]
    relations: Mapping[str, Expression]
    not_used: Sequence[str] = ()
    """Keys that mean nothing here, with their places."""

    def expressions(self) -> Iterator[tuple[str, Expression]]:
        """Yield each expression that makes an entity of an item, and what it makes."""
        for name in ("query", "identifier", "title", "icon", "blueprint", "team"):
            if (found := getattr(self, name)) is not None:
                yield name, found
        for group in ("properties", "relations"):
            for name, found in getattr(self, group).items():
                yield f"{group}.{name}", found


@dataclass(frozen=True, kw_only=True)
class MappingFile:
    """A mapping, as it was read."""

    text: str
    """With the quotes that were missing."""
    resources: Sequence[Resource]
    notes: Sequence[str]
    """What it states that means nothing here."""
    requoted: Sequence[str]
    """Places of expressions that were not in quotes and are no YAML without."""
    joins: Sequence[tuple[int, int]]
    """What begins further blocks of resources, in the text."""


def changed(text: str, edits: Mapping[tuple[int, int], str]) -> str:
    """Return the text with each span (start, end) replaced."""
    for (start, end), new in sorted(edits.items(), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def read(path: Path, *, requote: bool = False) -> MappingFile:
    """Read a mapping. With ``requote``, expressions that need quotes get them.

    Raises MappingError for what cannot be used, with its place.
    """
    extra_at("ruamel.yaml")
    try:
        text = path.read_text()
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MappingError(f"{path}: not a text in UTF-8: save it as one") from None
    requoted: list[int] = []
    while True:
        try:
            return _Reader(path.name, text, [f"{path.name}:{line + 1}" for line in requoted]).file(_composed(text))
        except _SyntaxError as error:
            lines = text.splitlines(keepends=True)
            entry = _ENTRY.fullmatch(lines[error.line].rstrip("\n")) if error.line < len(lines) else None
            where = f"{path.name}:{error.line + 1}"
            if not entry or error.line in requoted:
                raise MappingError(f"{where}: this is not YAML: {error}. Check its indentation and quotes") from None
            if not requote:
                reason = "put the whole expression in single quotes (usage-assets port mapping check --repair does it)"
                raise MappingError(f"{where}: this is not YAML: {reason}") from None
            lines[error.line] = f"{entry['key']}'" + entry["value"].replace("'", "''") + "'\n"
            text = "".join(lines)
            requoted.append(error.line)


class _SyntaxError(Exception):
    """What YAML says of a line."""

    def __init__(self, said: str, line: int) -> None:
        super().__init__(one_line(said))
        self.line = line


def _composed(text: str) -> Any:
    """Return the root node. Raises _SyntaxError."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - an extra
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    try:
        return YAML().compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _SyntaxError(str(error.problem), mark.line if mark else 0) from None
    except YAMLError as error:
        raise _SyntaxError(first_line(error), 0) from None
    except RecursionError:
        raise _SyntaxError("it nests too deep", 0) from None


@dataclass
class _Reader:
    """Turns nodes into resources."""

    file_name: str
    text: str
    requoted: Sequence[str]
    notes: list[str] = field(default_factory=list)

    def file(self, root: Any) -> MappingFile:
        blocks: list[tuple[Any, Any]] = []
        for key, value in self._pairs(root, "the file"):
            if key.value == "resources":
                blocks.append((key, value))
            elif key.value in NOT_USED:
                self.notes.append(f"{self._place(key)}: {key.value} is not used: {NOT_USED[key.value]}")
            else:
                self._refuse_key(key, "the file", ["resources"])
        if not blocks:
            raise MappingError(f"{self.file_name}: it has no resources: begin it with `resources:`")
        found = [self._resource(node) for _, block in blocks for node in self._list(block)]
        _refuse_same_names(found)
        if len(blocks) > 1:
            reason = "all are read here; other parsers keep the last one only"
            self.notes.append(f"{self._place(blocks[1][0])}: {len(blocks)} blocks of resources: {reason}")
        is_joinable = len({(block.flow_style, block.start_mark.column) for _, block in blocks}) == 1
        joins = [self._line(key) for key, _ in blocks[1:]] if is_joinable else []
        return MappingFile(text=self.text, resources=found, notes=self.notes, requoted=self.requoted, joins=joins)

    def _resource(self, node: Any) -> Resource:
        entries = self._entries(node, "resources", ("kind", "port"))
        selector = self._entries(entries["selector"], "selector") if "selector" in entries else {}
        port = self._entries(entries["port"], "port", ("entity",))
        entity = self._entries(port["entity"], "entity", ("mappings",))
        mappings = self._entries(entity["mappings"], "mappings", ("identifier", "blueprint"))
        texts = {
            name: self._expression(value) for name, value in mappings.items() if name not in ("properties", "relations")
        }
        kind, blueprint = self._expression(entries["kind"]).text, texts["blueprint"]
        unused = [f"{self._place(selector[key])}: {key}" for key in ("headers", "pagination") if key in selector]
        transform = self._plain(port.get("itemsToParseTopLevelTransform"), "true").lower()
        return Resource(
            name=self._name(entries.get("name"), kind, blueprint),
            place=self._place(node),
            text=self.text[node.start_mark.index : node.end_mark.index].rstrip(),
            kind=kind,
            query=self._optional(selector.get("query")),
            data_path=self._optional(selector.get("data_path")),
            query_params=dict(self._params(selector.get("query_params"))),
            method=self._plain(selector.get("method"), "GET").upper(),
            items_to_parse=self._optional(port.get("itemsToParse")),
            items_to_parse_name=self._plain(port.get("itemsToParseName"), "item"),
            items_to_parse_top_level_transform=transform == "true",
            identifier=texts["identifier"],
            blueprint=blueprint,
            title=texts.get("title"),
            icon=texts.get("icon"),
            team=texts.get("team"),
            properties=self._expressions(mappings.get("properties")),
            relations=self._expressions(mappings.get("relations")),
            not_used=unused,
        )

    def _name(self, node: Any, kind: str, blueprint: Expression) -> str:
        if node is not None:
            stated = self._expression(node)
            if not _NAME.fullmatch(stated.text):
                raise MappingError(f"{stated.place}: name {stated.text!r}: use a-z, 0-9 and _, beginning with a letter")
            return stated.text
        path = kind.partition("?")[0].rstrip("/").rpartition("/")[2]
        name = "_".join(filter(None, (path, constant(blueprint.text))))
        return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "resource"

    def _params(self, node: Any) -> Iterator[tuple[str, Sequence[str]]]:
        for key, value in self._pairs(node, "query_params") if node is not None else ():
            values = value.value if isinstance(value.value, list) else [value]
            yield key.value, tuple(self._expression(each).text for each in values)

    def _expressions(self, node: Any) -> Mapping[str, Expression]:
        if node is None or node.value == "":
            return {}
        return {key.value: self._expression(value) for key, value in self._pairs(node, "this")}

    def _optional(self, node: Any) -> Expression | None:
        return None if node is None else self._expression(node)

    def _plain(self, node: Any, default: str) -> str:
        return default if node is None else self._expression(node).text

    def _expression(self, node: Any) -> Expression:
        if not isinstance(node.value, str):
            raise MappingError(f"{self._place(node)}: this must be one expression: put it in single quotes")
        value = node.value.replace(FOLD, "") if node.style == ">" else node.value
        if not value.strip():
            raise MappingError(f"{self._place(node)}: this has no value: write an expression, or remove it")
        return Expression(value, self._place(node), node.start_mark.index, node.end_mark.index, node.style)

    def _entries(self, node: Any, name: str, needed: Collection[str] = ()) -> dict[str, Any]:
        """Return what is below a key. Raises MappingError for a key that is unknown, missing or there twice."""
        found: dict[str, Any] = {}
        for key, value in self._pairs(node, name):
            if key.value not in KEYS[name]:
                self._refuse_key(key, name, KEYS[name])
            if key.value in found:
                raise MappingError(f"{self._place(key)}: {key.value} is here twice below {name}: remove one")
            found[key.value] = value
        if missing := [key for key in needed if key not in found]:
            raise MappingError(f"{self._place(node)}: {' and '.join(missing)} missing below {name}")
        return found

    def _pairs(self, node: Any, name: str) -> Sequence[tuple[Any, Any]]:
        """Return the entries of a node that must have some."""
        pairs = getattr(node, "value", None)
        if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
            place = self._place(node) if node is not None else self.file_name
            what = "a list" if isinstance(pairs, list) else repr(one_line(pairs or "")[:40])
            raise MappingError(f"{place}: {name} has {what}, not keys with values: check the indentation below it")
        return pairs

    def _list(self, node: Any) -> Sequence[Any]:
        if not isinstance(node.value, list) or any(isinstance(each, tuple) for each in node.value):
            raise MappingError(f"{self._place(node)}: resources must be a list: begin each with `- kind:`")
        return node.value

    def _refuse_key(self, key: Any, name: str, known: Collection[str]) -> NoReturn:
        home = next((home for home, keys in KEYS.items() if key.value in keys), None)
        if home:
            reason = f"{key.value} belongs below {home}: copy the block with its spaces, or indent this line"
            raise MappingError(f"{self._place(key)}: the indentation is lost: {reason}")
        raise MappingError(f"{self._place(key)}: {key.value!r} is unknown in {name}; known: {', '.join(known)}")

    def _line(self, node: Any) -> tuple[int, int]:
        """Return the span of the line that a node begins in."""
        return (
            self.text.rfind("\n", 0, node.start_mark.index) + 1,
            self.text.index("\n", node.start_mark.index) + 1,
        )

    def _place(self, node: Any) -> str:
        return f"{self.file_name}:{node.start_mark.line + 1}"


def constant(expression: str) -> str | None:
    """Return the text that an expression always is, if it is a plain string."""
    try:
        value = json.loads(expression)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


def _refuse_same_names(resources: Sequence[Resource]) -> None:
    counts = Counter(each.name for each in resources)
    for each in resources:
        if counts[each.name] > 1:
            raise MappingError(
                f"{each.place}: {counts[each.name]} resources are called {each.name}: give each a `name:`"
            )
