"""OpenAI: the old billing and usage endpoints."""
