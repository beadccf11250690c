"""Asking an Anthropic model through its SDK: each request once, each outcome kept the moment it is known.

A folder holds ``outcomes/ID.json`` for every finished request; one that has an outcome is never sent again. Here they
are sent one by one; `batches` sends many at once, at half the price.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anthropic
import httpx2  # what the SDK is built on: a body that breaks off while it is read raises its errors

from mst_evals import manifest
from mst_evals.errors import InputError, StepError

CONNECTIONS = 4  # plain requests at a time
TIMEOUT = 300.0  # seconds for one request; the SDK's own 600 holds a run up for long when a server hangs
RETRIES = 5  # of the SDK: it waits as long as the API says, or 0.5 to 8 seconds
# A request that is wrong stays wrong; any other error of the API may pass.
LASTING = ("invalid_request_error", "request_too_large", "permission_error", "not_found_error", "billing_error")

_OF_THE_REQUEST = (400, 413, 422)  # faults of one request, which do not concern the next
# What an answer that did not come, came in part or was an error raises.
BROKEN = (anthropic.APIError, json.JSONDecodeError, httpx2.HTTPError)


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        id: Unique in the account, at most 64 letters, digits, ``-`` and ``_``; a batch's ``custom_id``.
        params: What the Messages API is given.
    """

    id: str
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        id: Of the request.
        kind: ``message``, ``cut`` (the reply arrived in part), ``errored``, ``expired`` or ``canceled``.
        batch: Whether it went through Message Batches.
        detail: The API's error.
        message: The reply as the API sent it, None when there is none.
    """

    id: str
    kind: str
    batch: bool
    detail: str = ""
    message: Mapping[str, Any] | None = None

    @property
    def lasting(self) -> bool:
        """Whether asking again would fail again."""
        return self.kind == "errored" and self.detail.startswith(LASTING)


def client() -> anthropic.Anthropic:
    """The SDK's client; key and address come from the environment, as the SDK reads them."""
    return anthropic.Anthropic(max_retries=RETRIES, timeout=TIMEOUT)


@contextmanager
def one_line(folder: Path) -> Iterator[None]:
    """Turn what the API or the way to it fails with into one line that says how to go on.

    Raises:
        InputError: There is no key.
        StepError: Anything else; nothing that was finished is lost.
    """
    try:
        yield
    except TypeError as error:
        if "authentication method" not in str(error):  # the SDK has no type of its own for a missing key
            raise
        raise InputError("no key for the Anthropic API: set ANTHROPIC_API_KEY") from None
    except (*BROKEN, anthropic.AnthropicError) as error:
        raise StepError(f"{said(error)}; what is finished is kept in {folder}, the same command goes on") from None


def said(error: Exception) -> str:
    """An error of the API or of the connection in one line."""
    if isinstance(error, anthropic.APIStatusError):
        text = (
            f"the Anthropic API answered {error.status_code} {error.type or ''}: {error.api_message or error.message}"
        )
    elif isinstance(error, json.JSONDecodeError):
        text = f"the Anthropic API answered with cut JSON ({error.msg})"
    else:
        text = f"the Anthropic API cannot be reached ({type(error).__name__}: {error})"
    return " ".join(text.split())


def outcome(folder: Path, request_id: str) -> Outcome | None:
    """What became of a request, None when it is not finished."""
    path = folder / "outcomes" / f"{request_id}.json"
    if not path.is_file():
        return None
    try:
        return Outcome(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: not an outcome ({error}); remove the file to ask again") from None


def keep(folder: Path, found: Outcome) -> None:
    """Write an outcome, atomically; in ASCII, since a model may write half of a surrogate pair, which UTF-8 cannot."""
    manifest.write_text(folder / "outcomes" / f"{found.id}.json", json.dumps(asdict(found), indent=1) + "\n")


def ask_plainly(
    api: anthropic.Anthropic, folder: Path, requests: Sequence[Request], progress: Callable[[], None]
) -> None:
    """Ask one by one, a few at a time.

    Args:
        api: From `client`.
        folder: Where outcomes are kept.
        requests: Those without an outcome.
        progress: Called after each.

    Raises:
        anthropic.APIError: The API refuses us or stays overloaded; requests under way are waited for and kept.
    """
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        asked = [pool.submit(_ask_one, api, folder, request) for request in requests]
        try:
            for done in as_completed(asked):
                done.result()
                progress()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)  # what is under way is paid for: its replies are kept
            raise


def _ask_one(api: anthropic.Anthropic, folder: Path, request: Request) -> None:
    try:
        message = api.messages.create(**request.params)
    except json.JSONDecodeError as error:  # HTTP 200 with half a body: the SDK does not try again
        keep(folder, Outcome(request.id, "cut", False, said(error)))
    except anthropic.APIStatusError as error:
        if error.status_code not in _OF_THE_REQUEST:
            raise
        keep(folder, Outcome(request.id, "errored", False, f"{error.type or LASTING[0]}: {said(error)}"))
    else:
        keep(folder, Outcome(request.id, "message", False, message=message.model_dump(mode="json", warnings="none")))
