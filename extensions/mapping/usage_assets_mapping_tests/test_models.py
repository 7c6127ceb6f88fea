"""``[[mapping]]`` in the connections file: which assets it becomes, and what a person reads of each mistake."""

from pathlib import Path
from typing import Any

import pytest

from usage_assets.build import build_definitions
from usage_assets.config.settings import Settings
from usage_assets.core.errors import UserError
from usage_assets.features.port.mapped import Mapped
from usage_assets.models.entities import all_entities, pushed_entities
from usage_assets_tests.models.days import cases

MAPPING = """resources:
  - name: models
    kind: /v1/organizations/usage_report/messages
    selector:
      query_params:
        group_by[]: model
      data_path: '[.data[].results[]]'
    port:
      entity:
        mappings:
          identifier: .model
          blueprint: '"claude_model_usage"'
"""
STATED = '[[mapping]]\nconnection = "anthropic"\nfile = "mapping.yml"\n'
REPLACING = f"{STATED}replaces = true\n"


def settings_of(folder: Path, mapping: str = MAPPING, stated: str = STATED, **variables: Any) -> Settings:
    """Settings of an account of Anthropic with a mapping."""
    (folder / "mapping.yml").write_text(mapping)
    (folder / "connections.toml").write_text(stated)
    given = {
        "anthropic_admin_key": "key",
        "port_client_id": "id",
        "port_client_secret": "secret",
        "usage_connections": folder / "connections.toml",
        "usage_warehouse": str(folder / "usage.duckdb"),
    }
    return Settings.load(_env_file=None, **given | variables)


IN_FILE = "connections.toml, line 1: mapping.1"
MISTAKES = cases(f"""
    replaces = true -> replaces = false -> mapping.yml:12: blueprint claude_model_usage is written by usage-assets
      itself: state replaces = true in [[mapping]] ({IN_FILE}), or map to another blueprint
    anthropic -> acme -> {IN_FILE}: connection 'acme' is unknown; known: anthropic
    usage_report/messages -> usage_report/other -> mapping.yml:2: models: no endpoint of connection anthropic has the
      path /v1/organizations/usage_report/other: `usage-assets port mapping check` says which has
    group_by[]: model -> group_by[]: speed -> mapping.yml:2: models: group_by speed: stored days of usage_messages are
      grouped by workspace_id, api_key_id, account_id, model, service_tier
    mapping.yml -> other.yml -> {IN_FILE}.file: other.yml is not there: a relative path begins at the connections file
    replaces = true -> interval = 5
      -> connections.toml, line 4: mapping.1.interval: unknown; known: connection, file, replaces
""")
TWICE = "connections.toml, line 5: mapping.2.file: mapping.yml is that of {}, for the same connection: remove one"


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    for old, new, said in (*MISTAKES, (REPLACING, REPLACING * 2, TWICE.format(IN_FILE))):
        settings = settings_of(tmp_path, *(text.replace(old, new) for text in (MAPPING, REPLACING)))
        with pytest.raises(UserError) as refused:
            all_entities(settings)
        assert str(refused.value).replace(f"{tmp_path}/", "") == said


def test_a_mapping_needs_an_archive(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        all_entities(settings_of(tmp_path, stated=REPLACING, usage_archive="off"))
    said = str(refused.value).replace(f"{tmp_path}/", "")
    assert said == f"{IN_FILE}: USAGE_ARCHIVE=off: a mapping needs archived answers: remove one of them"


def test_a_replaced_blueprint_is_the_mappings_alone(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, stated=REPLACING)
    definitions = build_definitions(settings)
    keys = {key.to_user_string() for key in definitions.resolve_all_asset_keys()}
    assert "anthropic/mapped/models" in keys
    assert "anthropic/entities/claude_model_usage" not in keys
    assert "anthropic/entities/claude_usage_record" in keys
    [anthropic] = [each for each in settings.connections() if each.name == "anthropic"]
    sent = pushed_entities(anthropic, all_entities(settings))
    [mapped] = [each for each in sent if isinstance(each, Mapped)]
    assert (mapped.resources, mapped.replaces) == (("models",), ("claude_model_usage models",))
    assert "claude_model_usage" not in {each.name for each in sent}
