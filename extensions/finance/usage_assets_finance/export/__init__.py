"""Files: FOCUS, from its views (``columns.py`` declares the columns of each version), CSV, Parquet, and by month."""
