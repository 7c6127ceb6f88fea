"""Dagster on this machine: its home and its processes. What they run is in build.py."""
