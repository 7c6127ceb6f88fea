"""From any figure back to the bytes that it comes from: rows, queries, versions, requests, archived values, runs."""
