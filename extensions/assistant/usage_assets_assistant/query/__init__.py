"""Questions in SQL. What sums amounts that must not be added is refused."""
