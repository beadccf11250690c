"""Two repairs of Inspect's batch worker, made when a judge first works in batch mode.

In inspect_ai 0.3 (`inspect_ai/model/_providers/util/batch.py`)

- the error of a batch that cannot be made goes to every request that waits for it, and then out of the worker, which
  ends the whole run as cancelled, with every article that was written in it;
- a request that the results of its batch do not name waits until its attempt times out: a day.
"""

from functools import cache
from typing import Any

from inspect_ai.model._model import AttemptTimeoutError
from inspect_ai.model._providers.util.batch import Batcher


class LostResultError(AttemptTimeoutError):
    """A batch ended without a result for a request. Inspect tries it again, as it does after any attempt's timeout."""

    def __init__(self) -> None:
        RuntimeError.__init__(self, "the batch ended without a result for this request")


class _NotMadeError(Exception):
    """A batch could not be made, and whoever waits for it was told."""


@cache
def mend() -> None:
    """Repair the worker of this process, once."""
    make, step, resolve = Batcher._wrapped_create_batch, Batcher._process_intake_queue, Batcher._resolve_inflight_batch

    async def made(self: Any, batch: list[Any]) -> str:
        try:
            return await make(self, batch)
        except Exception as error:
            raise _NotMadeError from error

    async def stepped(self: Any) -> bool:
        try:
            return await step(self)
        except _NotMadeError:
            return True  # there may be more to send

    async def resolved(self: Any, batch: Any, results: dict[str, Any]) -> None:
        lost = {name: LostResultError() for name in batch.requests if name not in results}
        await resolve(self, batch, {**results, **lost})

    Batcher._wrapped_create_batch = made  # type: ignore[method-assign]
    Batcher._process_intake_queue = stepped  # type: ignore[method-assign]
    Batcher._resolve_inflight_batch = resolved  # type: ignore[method-assign]
