"""Acme as a provider of usage-assets."""
