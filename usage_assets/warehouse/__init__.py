"""DuckDB. Everything that opens the warehouse is here. It knows no provider, and of Port only the ledger of pushes."""
