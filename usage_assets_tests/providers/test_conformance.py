"""Every provider of this package keeps the rules that any package's provider keeps, on the sandbox."""

from usage_assets.core.installed import OURS
from usage_assets_tests.providers.on_sandbox import suites_of

globals().update(suites_of(OURS, quick=("anthropic", "openai")))
"""Those that are quick differ in paging and in control totals."""
