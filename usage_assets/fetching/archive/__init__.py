"""Provider answers on disk, and reading them again without the provider."""
