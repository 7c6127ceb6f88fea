"""What the report adds to the graph, one line each: ``snapshot.txt`` (`make snapshot`)."""

from pathlib import Path

from usage_assets_tests.snapshot import added_by

FILE = Path(__file__).with_name("snapshot.txt")

if __name__ == "__main__":
    FILE.write_text(added_by("report"))
