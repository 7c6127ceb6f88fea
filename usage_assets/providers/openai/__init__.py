"""OpenAI: organization costs and usage, with an admin key."""
