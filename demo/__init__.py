"""What needs both the product and the sandbox, and is in no wheel.

`make demo` runs everything against the sandbox, in its own Dagster home, and compares the stored totals with its books.
`make focus` exports a year of it, and validates the files.
"""
