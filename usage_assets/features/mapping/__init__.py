"""Mappings of users' own: the YAML of Port's Ocean Custom Integration, with expressions in JQ.

How the file is read is in ``reading.py``, what a resource asks in ``questions.py``. ``evaluating.py`` runs its JQ.
"""

from usage_assets.features import IN_PORT, MODELS, Feature

FEATURE = Feature(hooks=[IN_PORT, MODELS], needs=["blueprints", "port"])
