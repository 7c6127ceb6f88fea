"""GitHub Copilot: what an organization is billed for AI credits, premium requests and seats."""
