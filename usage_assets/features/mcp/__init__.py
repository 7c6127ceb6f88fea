"""What an assistant may ask: an MCP server that reads the published copy or the lake, and changes nothing."""

from usage_assets.features import Feature

FEATURE = Feature(
    commands={"mcp": "Let an assistant read costs (MCP over stdio)."},
    needs=["explain", "query", "report", "what_if"],
)
