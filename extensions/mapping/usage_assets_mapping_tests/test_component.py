"""A mapping in somebody else's Dagster project."""

from dagster.components.testing import DefsFolderSandbox

from usage_assets_tests.guest.conftest import QUIETLY, host, instance_at, keys, loaded, refusal

__all__ = ["host"]
pytestmark = QUIETLY

MAPPING = """
resources:
  - name: models
    kind: /v1/organizations/usage_report/messages
    selector: {query: 'true'}
    port: {entity: {mappings: {identifier: .id, blueprint: '"b"'}}}
"""


def test_a_mapping_lies_beside_its_connections_file(host: DefsFolderSandbox) -> None:
    (folder := host.project_root / "ai").mkdir()
    entries = (
        '[[connection]]\nname = "acme"\nprovider = "anthropic"\nkey = "env:ACME"\n\n[[mapping]]\nconnection = "acme"'
    )
    (folder / "ai.toml").write_text(f'{entries}\nfile = "mapping.yml"\n')
    instance_at(host, "ai_spend", connections="ai/ai.toml")
    assert "/ai/mapping.yml is not there: a relative path begins at the connections file" in refusal(host)
    (folder / "mapping.yml").write_text(MAPPING.replace("/messages", "/nothing"))
    assert "mapping.yml:3: models: no endpoint of connection acme has the path" in refusal(host)
    (folder / "mapping.yml").write_text(MAPPING)
    assert "ai_spend/acme/mapped/models" in keys(loaded(host))
