"""A query reads where the warehouse is without all other settings: as they would."""

from pathlib import Path

import pytest

from usage_assets.config.address import warehouse_address
from usage_assets.config.settings import Settings, SettingsError

LAKE = "ducklake:postgres:host=db dbname=usage"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of ours is set, and the current folder is empty: no ``.env`` of a developer is read."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("file", "environment"),
    [
        (None, {}),
        ("USAGE_WAREHOUSE=a.duckdb", {}),
        ("USAGE_WAREHOUSE=a.duckdb", {"USAGE_WAREHOUSE": "b.duckdb"}),
        ("USAGE_WAREHOUSE=a.duckdb", {"USAGE_WAREHOUSE": ""}),
        ("USAGE_WAREHOUSE=", {}),
        ("USAGE_WAREHOUSE", {}),
        ("usage_warehouse='a b.duckdb'  # ours", {}),
        ("export USAGE_WAREHOUSE=${HERE}/a.duckdb", {"HERE": "/there"}),
        ("USAGE_WAREHOUSE=~/a.duckdb", {"HOME": "/home/somebody"}),
        ("USAGE_WAREHOUSE=' a.duckdb '", {}),
        ("# nothing\nnonsense '", {"Usage_Warehouse": "c.duckdb"}),
        (f"USAGE_WAREHOUSE='{LAKE}'\nUSAGE_WAREHOUSE_DATA=s3://bucket/folder", {}),
        (f"USAGE_WAREHOUSE='{LAKE}'", {"usage_warehouse_data": " lake "}),
    ],
)
def test_the_address_is_that_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, file: str | None, environment: dict[str, str]
) -> None:
    if file is not None:
        Path(".env").write_text(file)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    address = warehouse_address()
    assert address == Settings.load().warehouse
    assert address.file == Settings.load().warehouse.file


@pytest.mark.parametrize(
    "file",
    [
        b"USAGE_WAREHOUSE=\xff\xfe",
        b"USAGE_WAREHOUSE=mysql:usage",
        b"USAGE_WAREHOUSE='ducklake:postgres:host=db password=secret'",
        b"USAGE_WAREHOUSE=ducklake:postgres:",
        b"USAGE_WAREHOUSE=ducklake:postgres:\nUSAGE_WAREHOUSE_DATA=",
    ],
)
def test_what_is_wrong_with_it_is_said_as_the_settings_say_it(file: bytes) -> None:
    Path(".env").write_bytes(file)
    with pytest.raises(SettingsError) as by_settings:
        _ = Settings.load().warehouse
    with pytest.raises(SettingsError) as refused:
        warehouse_address()
    assert str(refused.value) == str(by_settings.value)
