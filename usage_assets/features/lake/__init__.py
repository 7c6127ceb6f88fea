"""A lake instead of a file: a warehouse that many processes and hosts share."""

from usage_assets.features import LAKE, SERVICES, Feature

FEATURE = Feature(hooks=[LAKE, SERVICES])
