"""A mapping's way to Port: computed of archived answers, pushed, restated, emptied, removed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from usage_assets_tests.conftest import Sandbox, last_days
from usage_assets_tests.end_to_end.conftest import Project, hold_project, sandbox_environment
from usage_assets_tests.port_user import PortUser, port_user

pytestmark = pytest.mark.slow
DAYS = last_days(3)
DAY = DAYS[-1]
MAPPING = """
resources:
  - name: models
    kind: /v1/organizations/usage_report/messages
    selector:
      query: 'true'
      query_params:
        bucket_width: 1d
        group_by[]: model
      data_path: '[.data[] | .starting_at as $day | .results[] | . + {day: $day}]'
    port:
      entity:
        mappings:
          identifier: '(.model // "unknown") + "/" + .day[:10]'
          title: .model
          blueprint: '"model_use"'
          properties:
            day: .day
            output: .output_tokens
  - name: workspaces
    kind: /v1/organizations/usage_report/messages
    selector:
      query: 'true'
      query_params:
        group_by[]: workspace_id
      data_path: '[.data[] | .starting_at as $day | .results[] | . + {day: $day}]'
    port:
      entity:
        mappings:
          identifier: '.workspace_id // "default"'
          title: .workspace_id
          blueprint: '"my_workspace"'
          properties:
            day: .day
            output: .output_tokens
"""


def connections(folder: Path, text: str = MAPPING, more: str = "") -> dict[str, str]:
    """Variables with which ``anthropic`` has a mapping."""
    key = folder / "anthropic.key"
    key.write_text("sk-ant-admin-sandbox")
    (folder / "mapping.yml").write_text(text)
    (folder / "connections.toml").write_text(
        f'[[connection]]\nname = "anthropic"\nprovider = "anthropic"\nkey = "file:{key}"\n'
        f'[[mapping]]\nconnection = "anthropic"\nfile = "mapping.yml"\n{more}'
    )
    return {"ANTHROPIC_ADMIN_KEY": "", "USAGE_CONNECTIONS": str(folder / "connections.toml")}


@pytest.fixture
def user(sandbox: Sandbox) -> Iterator[PortUser]:
    with port_user(sandbox) as signed_in:
        for name in ("model_use", "my_workspace"):
            properties = {"day": {"type": "string"}, "output": {"type": "number"}}
            schema: Mapping[str, Any] = {"properties": properties, "required": []}
            signed_in.call("POST", "/blueprints", {"identifier": name, "title": name, "schema": schema})
        yield signed_in


def test_a_mapping_is_computed_and_pushed(sandbox: Sandbox, tmp_path: Path, user: PortUser) -> None:
    variables = {**sandbox_environment(sandbox.base_url, tmp_path / "usage.duckdb"), **connections(tmp_path)}
    with hold_project(sandbox, tmp_path, variables) as project:
        result = project.fetch("anthropic", DAYS, "usage_messages", "mapped/models", "mapped/workspaces")
        assert result.success
        assert project.push_of("anthropic", DAYS).success
        print(user.identifiers("model_use"), user.identifiers("my_workspace"))
        assert user.identifiers("model_use")
        for each in user.identifiers("my_workspace"):
            print(user.entity("my_workspace", each))
        before = len(project.port_requests())
        assert project.push_of("anthropic", DAYS).success
        assert len(project.port_requests()) == before
