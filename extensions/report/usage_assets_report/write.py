"""Writes the page to its file in one step, readable by its owner only."""

import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from usage_assets.core.errors import UserError
from usage_assets_report.figures import Report
from usage_assets_report.page import write


class ReportError(UserError):
    """The page cannot be written. The message names the file, the reason and what to do."""


def write_report(report: Report, path: Path, made_at: datetime) -> Path:
    """Replace the page in one step. Raises ReportError; then the old page stays."""
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        html = write(report, made_at)
        with draft.open("w", encoding="utf-8") as file:
            file.write(html)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise ReportError(f"{path}: {error.strerror}: name another file with --out") from error
    return path
