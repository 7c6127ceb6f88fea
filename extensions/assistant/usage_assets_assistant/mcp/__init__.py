"""What an assistant may ask: an MCP server that reads the published copy or the lake, and changes nothing."""
