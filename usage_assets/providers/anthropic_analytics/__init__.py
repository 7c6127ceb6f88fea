"""Anthropic: the analytics API of Claude Enterprise."""
