"""What an assistant may ask: an MCP server that reads the published copy or the lake, and changes nothing."""

from usage_assets.features import Feature

FEATURE = Feature(
    commands={"mcp": "Serve figures to an assistant (MCP over stdio), until it ends."},
    needs=["explain", "query", "report", "what_if"],
)
