"""Every provider, a cloud and Port, emulated over real HTTP, with books of their own."""
