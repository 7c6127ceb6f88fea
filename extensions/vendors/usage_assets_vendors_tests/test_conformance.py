"""Every provider of this package keeps the rules that any package's provider keeps, on the sandbox."""

from usage_assets.core.installed import package_of
from usage_assets_tests.providers.on_sandbox import suites_of

globals().update(suites_of(package_of("vendors"), quick=("github_copilot",)))
"""That one has links to reports."""
