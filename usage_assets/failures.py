"""Why a step failed, in the words that a person is shown."""

from dagster._core.execution.plan.objects import StepFailureData


def one_line(text: str) -> str:
    """The text without line breaks."""
    return " ".join(text.split())


def reason_of(failed: StepFailureData | None) -> str:
    """The message of our own failures, or of the first cause."""
    if failed and failed.user_failure_data and failed.user_failure_data.description:
        return one_line(failed.user_failure_data.description)
    error = failed.error if failed else None
    while error and error.cause:
        error = error.cause
    return one_line(error.message.partition(": ")[2] or error.message) if error else "it gives no reason"
