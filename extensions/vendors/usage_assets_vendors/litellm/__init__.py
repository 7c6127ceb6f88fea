"""LiteLLM, a proxy that a company runs itself: what its users, teams, tags and end users used. Declarations only."""
