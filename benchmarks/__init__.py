"""The product measured side by side with others: see docs/benchmarks.md. Not installed with the package."""
