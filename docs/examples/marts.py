"""dbt's models in one graph with usage-assets: each depends on all assets that write what its sources read.

For a Dagster project with UsageAssetsComponent, and its dbt project in the folder ``marts`` beside this file.
"""

from pathlib import Path

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from usage_assets.component import follows_restatements

PROJECT = DbtProject(Path(__file__).with_name("marts"))
PROJECT.prepare_if_dev()


class Writers(DagsterDbtTranslator):
    """dagster-dbt knows one asset of each source. Several connections may write a table, and a view reads several."""

    def get_asset_spec(self, manifest, unique_id, project):
        """Return what dagster-dbt says of a model, with the assets that ``usage-assets dbt sources`` has written."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        deps = {dep.asset_key: dep for dep in spec.deps}
        for parent in manifest["parent_map"].get(unique_id, ()):
            meta = manifest["sources"].get(parent, {}).get("config", {}).get("meta", {})
            if "usage_assets" in meta:
                deps.pop(self.get_asset_spec(manifest, parent, project).key, None)
                keys = map(dg.AssetKey.from_user_string, meta["usage_assets"]["assets"])
                deps |= {key: dg.AssetDep(key) for key in keys}
        return spec.replace_attributes(deps=[*deps.values()], automation_condition=follows_restatements())


@dbt_assets(manifest=PROJECT.manifest_path, project=PROJECT, dagster_dbt_translator=Writers())
def marts(context: dg.AssetExecutionContext, dbt: DbtCliResource):
    """Build the models, and test the grains of their sources."""
    yield from dbt.cli(["build"], context=context).stream()


@dg.definitions
def defs():
    """What the project adds."""
    return dg.Definitions(assets=[marts], resources={"dbt": DbtCliResource(PROJECT)})
