"""The sandbox is an independent witness: it runs where the product is not installed."""

import subprocess
import sys


def test_the_sandbox_imports_nothing_of_the_product() -> None:
    code = "import sys, usage_assets_sandbox.__main__; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "usage_assets_sandbox.app" in loaded
    assert not {"usage_assets", "demo", "dagster", "duckdb"} & {name.partition(".")[0] for name in loaded}
