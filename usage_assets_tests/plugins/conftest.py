"""The tests of strangers' packages run where these packages are installed (test_plugins.py)."""

collect_ignore = ["nimbus"]
