"""``make drift``: lists what is new in the providers' SDKs and our schemas, and exits with 1 if it is not reviewed."""

import sys
import tomllib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import distributions
from pathlib import Path

from usage_assets_tests.drift import litellm, ours, schemas, sdk
from usage_assets_tests.drift.surface import differences

REVIEWED = Path(__file__).with_name("reviewed.toml")
SDKS = {
    "openai": ("resources/admin", "organization", ("openai",)),
    "anthropic": ("resources/beta/organization", "v1/organizations", ("anthropic", "anthropic_analytics")),
}
"""Package -> its folder of resources, the root of the endpoints that are compared, and the providers that ask them."""


def found_in(packages: Path) -> Iterator[str]:
    """Each difference, a line each."""
    for name, (resources, root, providers) in SDKS.items():
        theirs = sdk.surface(packages / name, "types", resources, root)
        yield from differences(name, theirs, ours.surface(*providers))
    yield from differences("litellm", litellm.theirs(packages / "litellm"), litellm.ours())
    yield from schemas.differences()


def not_reviewed(lines: Sequence[str], reviewed: Path = REVIEWED) -> tuple[list[str], list[str]]:
    """The lines that nobody has reviewed, and the reviewed patterns that no line has any more."""
    patterns = [pattern for entry in tomllib.loads(reviewed.read_text())["reviewed"] for pattern in entry["lines"]]
    new = [line for line in lines if not any(fnmatchcase(line, pattern) for pattern in patterns)]
    return new, [pattern for pattern in patterns if not any(fnmatchcase(line, pattern) for line in lines)]


def main(packages: Path) -> int:
    """Print what is new."""
    installed = {each.name: each.version for each in distributions(path=[str(packages)])}
    lines = [*found_in(packages)]
    new, over = not_reviewed(lines)
    versions = ", ".join(f"{name} {installed[name]}" for name in (*SDKS, "litellm"))
    print(f"{versions}: {len(lines)} differences, {len(lines) - len(new)} of them reviewed")
    for pattern in over:
        print(f"reviewed, and not there any more: {pattern}")
    for line in new:
        print(f"not reviewed: {line}")
    if new:
        print(f"Add what is money or tokens to the provider's rows, and the rest with its reason to {REVIEWED.name}")
    return int(bool(new))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
