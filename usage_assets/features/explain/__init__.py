"""From any figure back to the bytes that it comes from: rows, queries, versions, requests, archived values, runs."""

from usage_assets.features import Feature

FEATURE = Feature(
    commands={"explain": "Explain a figure: rows, queries, versions, requests and the archived values that are in it."},
    needs=["query", "report"],
)
