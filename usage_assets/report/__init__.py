"""The report: what was spent, on what, by whom, and how sure that is. Reads the warehouse and writes nothing to it."""
