"""Code locations of one warehouse, each with some of the connections."""

from collections.abc import Mapping
from pathlib import Path

PLACES: Mapping[str, str | None] = {"openai": None, "claude": "east", "chat": "west"}
"""Connection -> its shard."""
MONEY = '[[owner]]\nconnection = "openai"\nproject = "proj_1"\nteam = "Research"\nvalid_from = 2026-01-01\n'
OFF = "{ usage_messages = true, cost_report = true, claude_code = false }"
CONNECTION_OF = {
    "openai": 'provider = "openai"\nkey = "file:{key}"\n',
    "claude": f'provider = "anthropic"\nkey = "file:{{key}}"\nendpoints = {OFF}\n',
    "chat": 'provider = "chatgpt"\nkey = "file:{key}"\nworkspace_id = "ws-sandbox"\n',
}
KEYS = {"openai": "sk-admin-sandbox", "claude": "sk-ant-admin-sandbox", "chat": "chatgpt-sandbox-key"}


def location(folder: Path, shard: str | None, places: Mapping[str, str | None], more: str = MONEY) -> dict[str, str]:
    """The variables of a code location, with a connections file of its own and the keys of its connections only."""
    own = folder / (shard or "main")
    own.mkdir(exist_ok=True)
    text = more
    for name, place in places.items():
        key = own / f"{name}.key"
        if place == shard or not any(places.values()):
            key.write_text(KEYS[name])
        text += f'[[connection]]\nname = "{name}"\n{CONNECTION_OF[name].replace("{key}", str(key))}'
        text += f'shard = "{place}"\n' if place else ""
    (own / "connections.toml").write_text(text)
    keys = dict.fromkeys(("OPENAI_ADMIN_KEY", "ANTHROPIC_ADMIN_KEY", "CHATGPT_ANALYTICS_KEY"), "")
    return keys | {"USAGE_CONNECTIONS": str(own / "connections.toml")} | ({"USAGE_SHARD": shard} if shard else {})
