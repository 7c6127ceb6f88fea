"""The warehouse is moved to another place, or rewritten in place in the format of new files."""

from usage_assets.core.features import DOCTOR, Feature

FEATURE = Feature(
    commands={"move": "Copy the warehouse into a lake or a file, and compare both."},
    hooks=[DOCTOR],
)
