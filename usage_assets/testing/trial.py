"""An emulator for the command line: a folder in which usage-assets has one connection, and an API that answers it."""

import shutil
from contextlib import suppress
from pathlib import Path
from threading import Event

from usage_assets.core.errors import UserError
from usage_assets.local.home import CONFIGURATION
from usage_assets.provider import Provider
from usage_assets.testing.emulator import Emulator
from usage_assets.testing.product import connections_file

OURS = "# usage_assets.testing.trial writes this file again\n"


def trial(provider: Provider, account: Emulator, folder: str | Path = "trial") -> None:
    """Serve an emulator until Ctrl-C, and print commands that use it in ``folder``."""
    folder = Path(folder).absolute()
    environment = folder / ".env"
    if environment.exists() and not environment.read_text().startswith(OURS):
        raise UserError(f"{environment}: is there already: choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    with account.serving(), suppress(KeyboardInterrupt):
        file = connections_file(provider, account, folder)
        environment.write_text(f"{OURS}USAGE_CONNECTIONS={file.name}\nUSAGE_START_DATE={account.days[0]}\n")
        shutil.copyfile(CONFIGURATION, folder / CONFIGURATION.name)
        first, last = account.days[0], account.days[-1]
        print(
            f"{provider.name} answers at {account.base_url} until Ctrl-C. In another terminal:",
            f"cd {folder}",
            "usage-assets doctor",
            f"usage-assets backfill --connection {provider.name} --start {first} --end {last}",
            'usage-assets query "from costs.daily_costs"',
            sep="\n  ",
            flush=True,
        )
        Event().wait()
