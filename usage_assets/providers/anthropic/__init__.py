"""Anthropic: the Admin API's usage and cost reports, and Claude Code analytics."""
