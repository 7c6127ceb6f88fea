"""On which line of a TOML file something stands, however it is written."""

from pathlib import Path

from usage_assets.config.toml_file import TomlFile
from usage_assets_tests.models.days import lines

TEXT = """
# a comment with a [table] in it
title = "x = 1"

[[connection]]
name = "a"
endpoints = { costs = true, usage = false }
filters.models = [
  "one",  # name = "c"
  "two",
]

[[connection]]
name = '''
b
'''
[connection.endpoints]
costs = true

"""


def test_a_field_is_named_with_the_line_on_which_it_begins() -> None:
    for name, line, what in lines("""
        title                         3   first field
        connection                    5   array of tables
        connection.0.name             6   field
        connection.0.endpoints.usage  7   in an inline table
        connection.0.filters.models   8   dotted key
        connection.0.filters.models.1  8  in a value of several lines
        connection.1                  13  second table
        connection.1.name             14  text of several lines
        connection.1.endpoints.costs  18  in a table of its own
        connection.1.key              13  missing field
        connection.2.key              5   missing table
        title.text                    3   below a text
        owners                        1   nothing of it
    """):
        keys = [int(key) if key.isdigit() else key for key in name.split(".")]
        counted = ".".join(str(key + 1) if isinstance(key, int) else key for key in keys)
        assert TomlFile(Path("file.toml"), TEXT).place(*keys) == f"file.toml, line {line}: {counted}", what


def test_lines_are_those_of_an_editor_whatever_ends_them(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_bytes("a = 'form feed \u2028 inside'\r\n\r\nb = 2".encode())
    assert TomlFile.read(path).place("b") == f"{path}, line 3: b"
