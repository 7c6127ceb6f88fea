"""A lake instead of a file: a warehouse that many processes and hosts share."""

from usage_assets.features import LAKE, Feature

FEATURE = Feature(hooks=[LAKE])
