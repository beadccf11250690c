"""Asking through Message Batches: at half the price, within 24 hours, and never twice.

A folder holds ``batches/NUMBER.json`` for every batch and ``outcomes/`` as in `asking`. A batch is noted before it is
sent and its id after. The API knows no idempotency keys, so should the answer with the id be lost in between, the batch
is looked for among the account's batches before anything is sent again.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anthropic
from anthropic.types.messages import MessageBatchIndividualResponse
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from mst_evals import manifest
from mst_evals.corpus.asking import BROKEN, Outcome, Request, keep, outcome
from mst_evals.errors import InputError, StepError

ATTEMPTS = 6  # for what the SDK may not try again by itself
FIRST_WAIT, LONGEST_WAIT = 2.0, 60.0  # seconds between two of those attempts
CLOCK_SKEW = timedelta(minutes=10)  # between this machine and the API's

Progress = Callable[[str], None]


@dataclass
class _Noted:
    """A batch as ``batches/NUMBER.json`` has it; ``id`` is None until the API has told it."""

    path: Path
    ids: list[str]
    since: str
    id: str | None = None
    collected: bool = False

    def write(self) -> None:
        content = {key: value for key, value in asdict(self).items() if key != "path"}
        manifest.write_text(self.path, json.dumps(content, indent=2) + "\n")


def _noted(folder: Path) -> list[_Noted]:
    """The batches of a folder, oldest first."""
    found = []
    for path in sorted((folder / "batches").glob("*.json")):
        try:
            found.append(_Noted(path, **json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: not a note of a batch ({error})") from None
    return found


def ask_in_batch(
    api: anthropic.Anthropic, folder: Path, requests: Sequence[Request], poll: float, progress: Progress
) -> None:
    """Ask in one batch and wait for its end.

    Args:
        api: From `client`.
        folder: Where outcomes and batches are kept.
        requests: Those without an outcome and in no open batch (`collect_open`).
        poll: Seconds between two looks.
        progress: Called with what the batch is doing.

    Raises:
        anthropic.APIError: The API refuses us or stays overloaded.
        StepError: The API gave no result for a request.
    """
    number = max((int(noted.path.stem) for noted in _noted(folder)), default=0) + 1
    path = folder / "batches" / f"{number:04d}.json"
    noted = _Noted(path, [request.id for request in requests], datetime.now(UTC).isoformat())
    noted.write()
    noted.id = _create(api, noted, requests, poll, progress)
    noted.write()
    _collect(api, folder, noted, poll, progress)


def collect_open(api: anthropic.Anthropic, folder: Path, poll: float, progress: Progress) -> None:
    """Collect the batches of an earlier, interrupted run. What was never sent is forgotten, to be asked again.

    Args:
        api: From `client`.
        folder: Where outcomes and batches are kept.
        poll: Seconds between two looks.
        progress: Called with what a batch is doing.
    """
    for noted in _noted(folder):
        if noted.collected:
            continue
        noted.id = noted.id or _find_lost(api, noted, poll, progress)
        if noted.id is None:
            noted.path.unlink()
            continue
        noted.write()
        _collect(api, folder, noted, poll, progress)


def under_way(folder: Path) -> int:
    """Number of requests in batches that were sent and are not collected yet."""
    return sum(len(noted.ids) for noted in _noted(folder) if noted.id is not None and not noted.collected)


def _create(
    api: anthropic.Anthropic, noted: _Noted, requests: Sequence[Request], poll: float, progress: Progress
) -> str:
    """Send a batch once, however often that has to be tried; the SDK's own retries could make, and bill, it twice."""
    unclear = False

    def once() -> str:
        nonlocal unclear
        lost = _find_lost(api, noted, poll, progress) if unclear else None
        if lost is not None:
            return lost
        try:
            sent = [{"custom_id": request.id, "params": request.params} for request in requests]
            return api.with_options(max_retries=0).messages.batches.create(requests=sent).id  # type: ignore[arg-type]
        except BROKEN as error:
            unclear = not _refused(error)
            raise

    try:
        return str(_retrying()(once))
    except BROKEN:
        if not unclear:  # there is no batch to look for later
            noted.path.unlink()
        raise


class _IncompleteError(Exception):
    """A batch's results lack a request."""


def _retrying() -> Retrying:
    return Retrying(
        retry=retry_if_exception(_passing),
        stop=stop_after_attempt(ATTEMPTS),
        wait=_wait,
        sleep=time.sleep,
        reraise=True,
    )


def _wait(state: RetryCallState) -> float:
    """Seconds until the next attempt: what the API says, else 2, 4, 8, ..., in both cases up to `LONGEST_WAIT`."""
    error = state.outcome.exception() if state.outcome else None
    headers = error.response.headers if isinstance(error, anthropic.APIStatusError) else {}
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        if headers.get(name, "").replace(".", "", 1).isdigit():
            return min(float(headers[name]) / unit, LONGEST_WAIT)
    return min(FIRST_WAIT * 2.0 ** (state.attempt_number - 1), LONGEST_WAIT)


def _refused(error: BaseException) -> bool:
    """Whether the API surely did nothing: it turned the request away. A 500 or a lost answer may hide a batch."""
    return isinstance(error, anthropic.APIStatusError) and (error.status_code < 500 or error.status_code == 529)


def _passing(error: BaseException) -> bool:
    """Whether trying again may help."""
    if isinstance(error, anthropic.APIStatusError):
        return error.status_code in {408, 409, 429} or error.status_code >= 500
    return isinstance(error, (*BROKEN, _IncompleteError))


def _find_lost(api: anthropic.Anthropic, noted: _Noted, poll: float, progress: Progress) -> str | None:
    """The batch that was sent while its id got lost, None when it was never made.

    Batches tell their requests' ids only in their results, so a batch of the right age and size is waited for.
    """
    since = datetime.fromisoformat(noted.since) - CLOCK_SKEW
    candidates = []
    for batch in api.messages.batches.list(limit=100):  # newest first
        if batch.created_at < since:
            break
        counts = batch.request_counts
        size = counts.processing + counts.succeeded + counts.errored + counts.expired + counts.canceled
        if size == len(noted.ids):
            candidates.append(batch)
    for batch in sorted(candidates, key=lambda one: one.processing_status != "ended"):
        _wait_for_end(api, batch.id, poll, progress)
        results = api.messages.batches.results(batch.id)
        first = next(iter(results), None)
        results.close()
        if first is not None and first.custom_id in noted.ids:
            return batch.id
    return None


def _wait_for_end(api: anthropic.Anthropic, batch_id: str, poll: float, progress: Progress) -> None:
    began = time.monotonic()
    while (batch := api.messages.batches.retrieve(batch_id)).processing_status != "ended":
        minutes = (time.monotonic() - began) / 60
        progress(
            f"{batch_id}: {batch.processing_status}, {minutes:.0f} min, ends by {batch.expires_at:%d %b %H:%M} UTC"
        )
        time.sleep(poll)


def _collect(api: anthropic.Anthropic, folder: Path, noted: _Noted, poll: float, progress: Progress) -> None:
    """Wait for a batch's end and keep every result. Downloading again costs nothing."""
    assert noted.id is not None
    missing = {request_id for request_id in noted.ids if outcome(folder, request_id) is None}

    def once() -> None:
        for line in api.messages.batches.results(str(noted.id)):
            if line.custom_id in missing:
                keep(folder, _batched(line))
                missing.discard(line.custom_id)
        if missing:
            raise _IncompleteError

    try:
        _wait_for_end(api, noted.id, poll, progress)
        _retrying()(once)
    except _IncompleteError:
        total = len(noted.ids)
        raise StepError(f"{noted.id}: the API gives no result for {len(missing)} of {total} requests") from None
    except anthropic.NotFoundError:
        raise StepError(
            f"{noted.id}: the API has no such batch or no results of it any more (they are kept for 29 days, for the "
            f"workspace of the key); remove {noted.path} to ask and pay for its {len(missing)} requests again"
        ) from None
    noted.collected = True
    noted.write()
    progress(f"{noted.id}: collected")


def _batched(line: MessageBatchIndividualResponse) -> Outcome:
    """One line of a batch's results as an outcome."""
    result = line.result
    if result.type == "succeeded":
        found = result.message.model_dump(mode="json", warnings="none")
        return Outcome(line.custom_id, "message", True, message=found)
    detail = f"{result.error.error.type}: {result.error.error.message}" if result.type == "errored" else ""
    return Outcome(line.custom_id, result.type, True, detail)
