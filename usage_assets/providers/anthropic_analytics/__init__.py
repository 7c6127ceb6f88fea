"""Anthropic's newer reports: Usage and Cost Analytics, and the Claude Enterprise reports."""
