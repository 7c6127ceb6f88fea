"""ChatGPT Enterprise: Codex analytics of a workspace."""
