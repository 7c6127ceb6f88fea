"""Accounts whose graph is built, and some of its assets."""

from typing import Any

KEYS: dict[str, Any] = {"openai_admin_key": "k1", "anthropic_admin_key": "k2", "chatgpt_analytics_key": "k3"}
PORT: dict[str, Any] = {"port_client_id": "client", "port_client_secret": "s"}
LOOKUPS = {
    "anthropic/api_keys",
    "anthropic/organization",
    "anthropic/users",
    "anthropic/workspaces",
    "openai/project_api_keys",
    "openai/projects",
    "openai/service_accounts",
    "openai/users",
}
"""The assets of ids, which have no days."""
MERGED = "costs"
