"""OpenAI, Anthropic, ChatGPT and Port emulated over real HTTP, with their own books; no code of the product."""
