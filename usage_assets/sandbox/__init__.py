"""OpenAI, Anthropic, ChatGPT, GitHub, a cloud and Port, emulated over real HTTP, with books of their own."""
