"""What ``workspace.yaml`` points Dagster at: the graph, built in each process that loads it."""

import dagster as dg

from usage_assets.build import build_from_environment

defs = dg.definitions(build_from_environment)
