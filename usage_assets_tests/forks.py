"""Processes of the tests, forked from one that has imported what they need: to import Dagster takes a second of CPU."""

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["usage_assets_tests.end_to_end.conftest"])
