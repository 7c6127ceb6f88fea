"""Mappings of users' own: the YAML of Port's Ocean Custom Integration, with expressions in JQ.

How the file is read is in ``reading.py``, what a resource asks and which stored days answer it in ``questions.py``,
its items and entities in ``entities.py``, and what is wrong with it in ``checking.py``, tried on answers that
``examples.py`` makes up. JQ runs only in ``child.py``, in a process without environment, files or time
(``core/cage.py``); ``tokens.py`` reads it first, and nothing else imports jq. A day's answer comes out of the archive
(``answering.py``), its entities are rows of ``mapping.entities`` (``making.py``, ``models.py``;
``features/port/mapped.py`` declares them), and ``comparing.py`` holds them against ours.
"""

from usage_assets.core.features import FILES, IN_PORT, MODELS, Feature

FEATURE = Feature(
    hooks=[FILES, IN_PORT, MODELS], needs=["blueprints", "port"], sections={"mapping": "entries:MappingEntry"}
)
