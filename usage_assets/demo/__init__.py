"""`make demo`: everything against the sandbox, in a home of its own, and our totals beside the sandbox's own books."""
