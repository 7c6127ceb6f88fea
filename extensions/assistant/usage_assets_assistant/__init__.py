"""Questions about what is stored, and their answers, from the published copy or the lake. Nothing is changed.

``query/`` answers one in SQL, ``explain/`` leads from a figure back to the archived values, ``mcp/`` lets an assistant
ask, and ``dbt/`` describes the warehouse for a dbt project.
"""

from usage_assets.core.features import Feature

FEATURE = Feature(
    commands={
        "dbt": "Write what a dbt project needs to read the warehouse.",
        "explain": "Trace a figure to its rows, queries, requests and answers.",
        "mcp": "Let an assistant read costs (MCP over stdio).",
        "query": "Query the warehouse in SQL. Changes nothing.",
    },
    needs=["report"],
    names={"open": "query.notebook:open_warehouse"},
)
