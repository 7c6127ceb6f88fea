"""The warehouse as sources of a dbt project: tables, columns, the test of each grain, freshness. Never imports dbt."""
