"""From any figure back to the bytes that it comes from: rows, queries, versions, requests, archived values, runs."""

from usage_assets.features import Feature

FEATURE = Feature(
    commands={"explain": "Trace a figure to its rows, queries, requests and answers."},
    needs=["query", "report"],
)
