"""Which tests does a change touch? ``make test-changed`` runs them, ``make test-map`` finds out.

Each test module runs in a process of its own, and the functions, files and queries that it uses are recorded
(``tracing``) with their digests (``units``). ``map.txt`` holds the result. A module runs when one of them has changed.
"""
