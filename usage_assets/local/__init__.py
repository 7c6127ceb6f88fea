"""Dagster on this machine: the processes, and `make run`. What they run is in build.py."""
