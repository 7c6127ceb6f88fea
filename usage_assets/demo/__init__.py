"""`make demo`: everything against the sandbox, in a home of its own, and our totals against its books."""
