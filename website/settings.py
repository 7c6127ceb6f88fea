"""The page of all variables and of everything that the connections file may have, from the models that read them."""

from collections.abc import Iterator, Mapping
from typing import Any

from usage_assets.config.settings import Settings, whole_file

HEAD = """# Settings

[Reference](reference.md#environment) says what each variable means, [connect](connect.md) and [money](money.md) what
the entries of the connections file mean. This page lists what is accepted.

## Variables

| variable | accepts | default |
|---|---|---|
"""
FILE = """
## The connections file

`USAGE_CONNECTIONS` names it: a TOML file, in which each entry below may be repeated.
"""
BOUNDS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "above", "exclusiveMaximum": "below"}
KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "object": "table"}
FORMATS = {"date": "date", "path": "path", "password": "secret"}
Schema = Mapping[str, Any]


def page() -> str:
    """Return the page."""
    file = whole_file().model_json_schema()
    lines = [
        f"| `{name.upper()}` | {_accepts(stated, {})} | {_default(stated)} |"
        for name, stated in Settings.model_json_schema()["properties"].items()
    ]
    return "\n".join([HEAD + "\n".join(lines), FILE, *_entries(file["properties"], file["$defs"])]) + "\n"


def _entries(properties: Schema, tables: Schema) -> Iterator[str]:
    for name, listed in properties.items():
        table = _named(listed["items"], tables)
        yield f"### `[[{name}]]`\n\n{table.get('description', '').replace('``', '`')}\n"
        yield "| key | accepts | default |\n|---|---|---|"
        required = table.get("required", ())
        for key, stated in table["properties"].items():
            default = "required" if key in required else _default(stated)
            yield f"| `{key}` | {_accepts(stated, tables)} | {default} |"
        yield ""


def _named(stated: Schema, tables: Schema) -> Schema:
    """What a reference stands for; anything else is itself."""
    found: Schema = tables[stated["$ref"].rpartition("/")[2]] if "$ref" in stated else stated
    return found


def _accepts(stated: Schema, tables: Schema) -> str:
    stated = _named(stated, tables)
    if "anyOf" in stated:
        return " or ".join(dict.fromkeys(_accepts(way, tables) for way in stated["anyOf"] if way != {"type": "null"}))
    if "enum" in stated or "const" in stated:
        return ", ".join(f"`{value}`" for value in stated.get("enum", [stated.get("const")]))
    if stated.get("type") == "array":
        return f"list: {_accepts(stated['items'], tables)}"
    if "properties" in stated:
        return "table: " + ", ".join(f"`{key}`" for key in stated["properties"])
    kind = FORMATS.get(stated.get("format", ""), KINDS.get(stated.get("type", ""), "value"))
    return ", ".join([kind, *(f"{word} {stated[bound]}" for bound, word in BOUNDS.items() if bound in stated)])


def _default(stated: Schema) -> str:
    default = stated.get("default")
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return "-" if default in (None, [], {}, "") else f"`{default}`"
