"""DuckDB. Everything that opens the warehouse (a file or a lake) is here. Nothing here knows a provider or Port."""
