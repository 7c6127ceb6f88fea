"""Tests use the providers of this package, whatever else is installed: also those in processes that tests start."""

import os

os.environ.setdefault("USAGE_PLUGINS", "off")
