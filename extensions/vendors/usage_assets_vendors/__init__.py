"""Providers, one folder each: Cursor, GitHub Copilot, LiteLLM and OpenRouter. Only declarations."""
