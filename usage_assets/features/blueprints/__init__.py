"""Blueprints of the users' own, whose entities their SQL computes (``config/blueprints.py`` reads the files)."""

from usage_assets.core.features import MODELS, Feature

FEATURE = Feature(hooks=[MODELS])
