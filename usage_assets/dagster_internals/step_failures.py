"""What Dagster shows of an error: a sentence, or a stack without secrets."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from traceback import TracebackException
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterUserCodeProcessError
from dagster_shared.error import SerializableErrorInfo


class ExplainedError(DagsterUserCodeProcessError, dg.Failure):
    """A failure whose description says all. Dagster would add its class and forty lines of its own stack.

    Dagster shows a ``DagsterUserCodeProcessError``, the other parent, as the ``SerializableErrorInfo`` in it says.
    """

    def __init__(self, description: str, metadata: Mapping[str, Any]) -> None:
        shown = SerializableErrorInfo(f"{description}\n", [], dg.Failure.__name__)
        super().__init__(  # type: ignore[no-untyped-call]
            description, metadata=metadata, allow_retries=False, user_code_process_error_infos=[shown]
        )


@contextmanager
def shown_as(shown: Callable[[str], str]) -> Iterator[None]:
    """Let Dagster show errors with other messages and lines of the stack, where ``shown`` changes any of them."""
    try:
        yield
    except dg.Failure:
        raise
    except Exception as error:
        told = SerializableErrorInfo.from_traceback(TracebackException.from_exception(error))
        changed = _shown(told, shown)
        if changed == told:
            raise
        raise DagsterUserCodeProcessError.from_error_info(changed) from None  # type: ignore[no-untyped-call]


def _shown(info: SerializableErrorInfo, shown: Callable[[str], str]) -> SerializableErrorInfo:
    return SerializableErrorInfo(
        shown(info.message),
        [shown(line) for line in info.stack],
        info.cls_name,
        info.cause and _shown(info.cause, shown),
        info.context and _shown(info.context, shown),
    )
