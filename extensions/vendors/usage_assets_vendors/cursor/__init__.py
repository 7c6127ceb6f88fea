"""Cursor: what a team uses, and what of it is billed."""
