"""FOCUS, the FinOps Foundation's table of costs: exports of it, and what its own validator says of them."""
