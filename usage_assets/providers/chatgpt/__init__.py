"""ChatGPT Enterprise: Codex analytics of a workspace.

The documented row (unix seconds, ``actor``, ``totals``, ``clients``, ``models``) and an illustrative one (RFC 3339,
flat ``credits``, ``user``, ``tokens``) become the same columns. ``shape`` says which one it was and is not part of the
grain: the same usage could be stored twice. A day with both is refused. ``text_input`` of the latter has a column of
its own, because nobody documents whether it includes cached tokens.
"""
