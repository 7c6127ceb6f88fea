"""OpenAI, Anthropic, ChatGPT, GitHub, a cloud's bills and Port emulated over real HTTP, with their own books; no code of the product."""
