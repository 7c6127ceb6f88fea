"""LiteLLM's own proxy as a peer: make litellm."""
