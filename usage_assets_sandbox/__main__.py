"""`python -m usage_assets_sandbox --port N [--seed N] [--now ISO]` serves the sandbox."""

import argparse
from datetime import UTC, datetime

from usage_assets_sandbox.app import serve
from usage_assets_sandbox.control import DEFAULT_SEED


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{value!r} is not an ISO 8601 time") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser("usage-assets-sandbox", description="Emulated providers and Port.")
    parser.add_argument("--port", type=int, default=0, help="0 is any free port")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="which company")
    parser.add_argument("--now", type=_moment, help="freeze the clock at this ISO 8601 time")
    arguments = parser.parse_args()
    serve(arguments.port, seed=arguments.seed, now=arguments.now)


if __name__ == "__main__":
    main()
