"""Ctrl-C during an evaluation: Inspect ends it quietly, so the caller has to be told."""

from collections.abc import Sequence

from inspect_ai.log import EvalLog


def finished(logs: Sequence[EvalLog]) -> EvalLog:
    """The log of an evaluation of one task.

    Args:
        logs: What `inspect_ai.eval` returned.

    Raises:
        KeyboardInterrupt: It was interrupted. Inspect catches the interrupt, keeps what is finished on disk, and
            returns no log, or one that says so.
    """
    if not logs or logs[0].status == "cancelled":
        raise KeyboardInterrupt
    (log,) = logs
    return log
