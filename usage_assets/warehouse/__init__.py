"""DuckDB. Everything that opens the database file lives here, and nothing that knows a provider or Port."""
