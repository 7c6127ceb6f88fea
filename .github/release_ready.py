"""Refuses a tag that is not ready to be published: python .github/release_ready.py v1.2.3. Standard library only."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACEHOLDER = "git.example.com"


def reasons(tag: str, project: str, changelog: str, security: str) -> list[str]:
    """What keeps a tag from being published, a line each; empty if nothing does. The last three are texts of files."""
    stated = tomllib.loads(project)["project"]["version"]
    newest = re.search(r"^## \[([^]]+)\](?: - (\d{4}-\d\d-\d\d))?$", changelog, flags=re.MULTILINE)
    found = []
    if tag != f"v{stated}":
        found.append(f"pyproject.toml states {stated}, and the tag is {tag}: tag v{stated}, or change the version")
    if not newest or newest[1] != stated or not newest[2]:
        found.append(f"CHANGELOG.md: the first section must be '## [{stated}] - YYYY-MM-DD'")
    for name, text in (("pyproject.toml", project), ("SECURITY.md", security)):
        if PLACEHOLDER in text:
            found.append(f"{name} names {PLACEHOLDER}: replace it by the public address of the project")
    return found


if __name__ == "__main__":
    found = reasons(
        sys.argv[1], *((ROOT / name).read_text() for name in ("pyproject.toml", "CHANGELOG.md", "SECURITY.md"))
    )
    sys.exit("\n".join(found) or None)
