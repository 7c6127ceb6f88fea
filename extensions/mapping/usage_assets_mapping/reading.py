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
from urllib.parse import urlsplit

from usage_assets.core.errors import first_line, one_line
from usage_assets_mapping.errors import MappingError, extra_at
from usage_assets_mapping.tokens import tokens_of

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
MOST_BYTES = 1 << 20
"""A larger file is no mapping: YAML would be read for minutes, whenever Dagster starts."""
TEMPLATE = "{{"
FOLD = "\a"
"""What the parser leaves in a folded text where a line was joined to the one before."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)*")
"""An anchor or a tag before a value."""
_JOIN = re.compile(r"(['\"]?)resources\1[ \t]*:[ \t]*(?P<comment>#[^\n]*)?\n")
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
            return "\n".join(["|" + header[1:], *(indent + line for line in text.splitlines()), ""])
        if "\n" in text or (self.style == '"' and source.lstrip("\ufeff \n").startswith("{")):  # the file is JSON
            return json.dumps(text, ensure_ascii=False)
        return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A question to the provider, and the entities that its answer becomes."""

    name: str
    """Stable: stated, or made of its kind and blueprint."""
    place: str
    text: str
    """All of it, as the file has it, without headers: those are not used, and may hold a key."""
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

    name: str
    text: str
    """With the quotes that were missing."""
    resources: Sequence[Resource]
    notes: Sequence[str]
    """What it states that means nothing here."""
    requoted: Sequence[str]
    """Places of expressions that were not in quotes and are no YAML without."""
    joins: Mapping[tuple[int, int], str]
    """What begins further blocks of resources, in the text, and the comment that stays of it."""
    line_end: str = "\n"
    """How the file ends its lines. The text has ``\\n``."""


def changed(text: str, edits: Mapping[tuple[int, int], str]) -> str:
    """Return the text with each span (start, end) replaced."""
    for (start, end), new in sorted(edits.items(), reverse=True):
        text = text[:start] + new + text[end:]
    return text


def read(path: Path, *, requote: bool = False) -> MappingFile:
    """Read a mapping. With ``requote``, expressions that need quotes get them.

    Raises MappingError for what cannot be used, with its place.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise MappingError(f"{path}: larger than {MOST_BYTES >> 20} MB, so it is no mapping: name another file")
        with path.open() as file:
            text, ends = file.read(), file.newlines
    except OSError as error:
        raise MappingError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MappingError(f"{path}: not a text in UTF-8: save it as one") from None
    return parsed(text, path.name, requote=requote, line_end=ends if isinstance(ends, str) else "\n")


def parsed(text: str, name: str, *, requote: bool = False, line_end: str = "\n") -> MappingFile:
    """Read the text of a mapping, in a file of this name. Raises MappingError as ``read`` does."""
    extra_at("ruamel.yaml")
    requoted: list[int] = []
    while True:
        try:
            reader = _Reader(name, text, line_end, [f"{name}:{line + 1}" for line in requoted])
            return reader.file(_composed(text))
        except _SyntaxError as error:
            lines = text.splitlines(keepends=True)
            error.look_at(lines)
            line = lines[error.line].rstrip("\n") if error.line < len(lines) else ""
            where, advice = f"{name}:{error.line + 1}", error.advice
            entry = None if advice or error.line in requoted else _ENTRY.fullmatch(line)
            if not entry:
                reason = advice or f"{error}. Check its indentation and quotes"
                raise MappingError(f"{where}: this is not YAML: {reason}") from None
            if not requote:
                reason = "put the whole expression in single quotes (usage-assets port mapping check --repair does it)"
                raise MappingError(f"{where}: this is not YAML: {reason}") from None
            lines[error.line] = f"{entry['key']}{_quoted(entry['value'])}\n"
            text = "".join(lines)
            requoted.append(error.line)


def _quoted(value: str) -> str:
    """Return an expression in single quotes, and its comment behind them."""
    try:
        end = max((token.at + len(token.text) for token in tokens_of(value)), default=len(value))
    except MappingError:
        end = len(value)
    comment = value[end:].strip()
    return "'" + value[:end].replace("'", "''") + "'" + (f"  {comment}" if comment else "")


class _SyntaxError(Exception):
    """What YAML says of a line."""

    advice: str | None = None
    """What is wrong and what to do, where it is known."""

    def __init__(self, said: str, line: int, *, has_advice: bool = False) -> None:
        super().__init__(one_line(said))
        self.line = line
        if has_advice:
            self.advice = str(self)

    def look_at(self, lines: Sequence[str]) -> None:
        """Find what YAML does not name: it may stop at a later line."""
        spaces = [line[: len(line) - len(line.lstrip())] for line in lines[: self.line + 1]]
        if odd := [n for n, each in enumerate(spaces) if "\xa0" in each]:
            self.line = odd[0]
            self.advice = "a space of a web page (U+00A0): type the spaces of its lines again"
        elif "\t" in "".join(spaces[self.line :]):
            self.advice = "a tab: indent it with spaces"
        elif "".join(lines[self.line : self.line + 1]).startswith("```"):
            self.advice = "a line of Markdown: remove it"


def _composed(text: str) -> Any:
    """Return the root node. Raises _SyntaxError."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - an extra
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415
    from ruamel.yaml.reader import ReaderError  # noqa: PLC0415

    try:
        return YAML().compose(text)
    except MarkedYAMLError as error:
        if error.context == "while scanning a quoted scalar" and error.context_mark:
            said, line = "a quote is opened here and not closed: close it", error.context_mark.line
            raise _SyntaxError(said, line, has_advice=True) from None
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        if "another document" in str(error.problem):
            raise _SyntaxError("a second document begins: remove the line ---", line, has_advice=True) from None
        raise _SyntaxError(str(error.problem), line) from None
    except ReaderError as error:
        character = error.character if isinstance(error.character, int) else ord(error.character)
        said, line = f"a character U+{character:04X}: remove it", text.count("\n", 0, error.position)
        raise _SyntaxError(said, line, has_advice=True) from None
    except YAMLError as error:
        raise _SyntaxError(first_line(error), 0) from None
    except RecursionError:
        raise _SyntaxError("it nests too deep", 0) from None


@dataclass
class _Reader:
    """Turns nodes into resources."""

    file_name: str
    text: str
    line_end: str
    requoted: Sequence[str]
    notes: list[str] = field(default_factory=list)

    def file(self, root: Any) -> MappingFile:
        blocks: list[tuple[Any, Any]] = []
        for key, value in self._pairs(root, "the file") if root is not None else ():
            if key.value == "resources":
                blocks.append((key, value))
            elif key.value in NOT_USED:
                self.notes.append(f"{self._place(key)}: {key.value} is not used: {NOT_USED[key.value]}")
            else:
                self._refuse_key(key, "the file", ["resources"])
        found = [self._resource(node) for _, block in blocks for node in self._list(block)]
        if not found:
            raise MappingError(f"{self.file_name}: it has no resources: begin it with `resources:`")
        _refuse_same_names(found)
        if len(blocks) > 1:
            reason = "all are read here; other parsers keep the last one only"
            self.notes.append(f"{self._place(blocks[1][0])}: {len(blocks)} blocks of resources: {reason}")
        return MappingFile(
            name=self.file_name,
            text=self.text,
            resources=found,
            notes=self.notes,
            requoted=self.requoted,
            joins=self._joins(blocks),
            line_end=self.line_end,
        )

    def _joins(self, blocks: Sequence[tuple[Any, Any]]) -> Mapping[tuple[int, int], str]:
        """Return what to leave out so that one block has all resources; nothing where that would lose some."""
        starts = [_JOIN.match(self.text, key.start_mark.index) for key, _ in blocks]
        columns = {(key.start_mark.column, block.start_mark.column) for key, block in blocks}
        found: dict[tuple[int, int], str] = {}
        for start in starts[1:]:
            if start is None or starts[0] is None or len(columns) > 1:
                return {}
            found[start.span()] = f"{start['comment']}\n" if start["comment"] else ""
        return found

    def _resource(self, node: Any) -> Resource:
        entries = self._entries(node, "resources", ("kind", "port"))
        selector = self._entries(entries["selector"], "selector") if "selector" in entries else {}
        port = self._entries(entries["port"], "port", ("entity",))
        entity = self._entries(port["entity"], "entity", ("mappings",))
        if (listed := entity["mappings"]).id == "sequence":
            reason = "as in Ocean, a resource makes one entity of an item: repeat the resource for each of the list"
            raise MappingError(f"{self._place(listed)}: mappings is a list: {reason}")
        mappings = self._entries(listed, "mappings", ("identifier", "blueprint"))
        texts = {
            name: self._expression(value) for name, value in mappings.items() if name not in ("properties", "relations")
        }
        kind, blueprint = self._kind(entries["kind"]), texts["blueprint"]
        unused = [f"{self._place(selector[key])}: {key}" for key in ("headers", "pagination") if key in selector]
        transform = self._plain(port.get("itemsToParseTopLevelTransform"), "true").lower()
        return Resource(
            name=self._name(entries.get("name"), kind, blueprint),
            place=self._place(node),
            text=self._without(node, selector.get("headers")),
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

    def _without(self, node: Any, left_out: Any) -> str:
        """Return the text of a node, without that of one in it."""
        start, end = node.start_mark.index, node.end_mark.index
        if left_out is not None and start <= left_out.start_mark.index < end:  # an alias is elsewhere
            head, tail = self.text[start : left_out.start_mark.index], self.text[left_out.end_mark.index : end]
            return f"{head.rstrip()}\n{tail}".rstrip()
        return self.text[start:end].rstrip()

    def _kind(self, node: Any) -> str:
        kind = self._plain(node, "")
        try:
            if "@" not in urlsplit(kind).netloc:
                return kind
        except ValueError:
            pass
        raise MappingError(f"{self._place(node)}: kind must be a path, such as /v1/organizations/cost_report")

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
        for key, value in self._once(node, "query_params", "write one list") if node is not None else ():
            values = value.value if value.id == "sequence" else [value]
            yield key.value, tuple(self._plain(each, "") for each in values)

    def _expressions(self, node: Any) -> Mapping[str, Expression]:
        if node is None or node.value == "":
            return {}
        return {key.value: self._expression(value) for key, value in self._once(node, "this")}

    def _optional(self, node: Any) -> Expression | None:
        return None if node is None else self._expression(node)

    def _plain(self, node: Any, default: str) -> str:
        found = default if node is None else self._expression(node).text
        if TEMPLATE in found:
            self._refuse_template(node)
        return found

    def _expression(self, node: Any) -> Expression:
        if node.id == "mapping" and "combinator" in (key.value for key, _ in node.value):
            reason = "a search (combinator, rules) is not read: write an expression that gives the identifier"
            raise MappingError(f"{self._place(node)}: {reason}")
        if node.id == "mapping" and any(key.id != "scalar" for key, _ in node.value):
            self._refuse_template(node)
        if node.id != "scalar":
            raise MappingError(f"{self._place(node)}: this must be one expression: put it in single quotes")
        value = node.value.replace(FOLD, "") if node.style == ">" else node.value
        if not value.strip():
            raise MappingError(f"{self._place(node)}: this has no value: write an expression, or remove it")
        before = _PROPERTIES.match(self.text, node.start_mark.index)
        start = before.end() if before else node.start_mark.index
        return Expression(value, self._place(node), start, node.end_mark.index, node.style)

    def _entries(self, node: Any, name: str, needed: Collection[str] = ()) -> dict[str, Any]:
        """Return what is below a key. Raises MappingError for a key that is unknown, missing or there twice."""
        found: dict[str, Any] = {}
        for key, value in self._once(node, name):
            if key.value not in KEYS[name]:
                self._refuse_key(key, name, KEYS[name])
            found[key.value] = value
        if missing := [key for key in needed if key not in found]:
            raise MappingError(f"{self._place(node)}: {' and '.join(missing)} missing below {name}")
        return found

    def _once(self, node: Any, name: str, advice: str = "remove one") -> Iterator[tuple[Any, Any]]:
        """Yield the entries of a node. Raises MappingError for a key that is there twice: parsers keep one silently."""
        found: set[str] = set()
        for key, value in self._pairs(node, name):
            if key.value in found:
                below = "" if name == "this" else f" below {name}"
                raise MappingError(f"{self._place(key)}: {key.value} is here twice{below}: {advice}")
            found.add(key.value)
            yield key, value

    def _pairs(self, node: Any, name: str) -> Sequence[tuple[Any, Any]]:
        """Return the entries of a node that must have some. No value is quoted: it may be a key."""
        if node.id != "mapping":
            what = "a list" if node.id == "sequence" else "a text" if node.value else "nothing"
            advice = "write `resources:` above it" if name == "the file" else "check the indentation below it"
            raise MappingError(f"{self._place(node)}: {name} has {what}, not keys with values: {advice}")
        for key, _ in node.value:
            if key.id != "scalar":
                self._refuse_template(key)
            if key.value == "<<":
                raise MappingError(f"{self._place(key)}: << is not read: write its entries here")
        pairs: list[tuple[Any, Any]] = node.value
        return pairs

    def _refuse_template(self, node: Any) -> NoReturn:
        reason = "{{ }} is a template, and nothing fills it in here: write what it becomes"
        raise MappingError(f"{self._place(node)}: {reason}")

    def _list(self, node: Any) -> Sequence[Any]:
        if node.id != "sequence":
            raise MappingError(f"{self._place(node)}: resources must be a list: begin each with `- kind:`")
        listed: list[Any] = node.value
        return listed

    def _refuse_key(self, key: Any, name: str, known: Collection[str]) -> NoReturn:
        home = next((home for home, keys in KEYS.items() if key.value in keys), None)
        if home:
            reason = f"{key.value} belongs below {home}: copy the block with its spaces, or indent this line"
            raise MappingError(f"{self._place(key)}: the indentation is lost: {reason}")
        raise MappingError(f"{self._place(key)}: {key.value!r} is unknown in {name}; known: {', '.join(known)}")

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
