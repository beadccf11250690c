"""A fake Anthropic API on loopback: Messages and Message Batches, as far as the SDK and Inspect's provider need them.

It behaves as a script says (`Behaviour`), keeps every request, and is strict where the real API is: a wrong key is 401,
a sampling parameter, a repeated or malformed ``custom_id`` and a missing field are 400. What it refuses for that reason
is in `FakeAnthropic.complaints`, so that a test can say that nothing was wrong with its own requests.

A test module takes the fixture over by name: ``api = fake_anthropic.api``.
"""

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

KEY = "dummy-key"
MODEL = "claude-fake-1"  # no model of this name exists, so no table of prices or abilities knows it

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_BATCHES = re.compile(r"/v1/messages/batches(?:/(?P<id>[^/]+))?(?:/(?P<verb>results|cancel))?")
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True)
class Behaviour:
    """What becomes of one request.

    Attributes:
        content: Content blocks of the message.
        stop_reason: Of the message.
        output_tokens: Billed output; a quarter of the text's length when None.
        status: An HTTP status that is no 200 makes it an error; in a batch, an ``errored`` result.
        message: Text of the error.
        result: ``succeeded``, or what else becomes of a request in a batch (``expired``, ``canceled``).
        transport: ``whole``, ``cut`` (half of the body, complete as HTTP), ``drop`` (no answer, after the work is done)
            or ``hang`` (no answer until the server stops).
        retry_after_ms: Header of an error; None leaves the waiting to the client.
    """

    content: tuple[dict[str, Any], ...] = ()
    stop_reason: str = "end_turn"
    output_tokens: int | None = None
    status: int = 200
    message: str = ""
    result: str = "succeeded"
    transport: str = "whole"
    retry_after_ms: int | None = 1


def text(reply: str, stop_reason: str = "end_turn", output_tokens: int | None = None) -> Behaviour:
    """A message of one text block."""
    return Behaviour(({"type": "text", "text": reply},), stop_reason, output_tokens)


def structured(value: Any) -> Behaviour:
    """A message whose text is JSON."""
    return text(json.dumps(value))


def error(status: int, message: str | None = None, retry_after_ms: int | None = 1) -> Behaviour:
    """An API error: 401, 429, 500, 529, ..."""
    return Behaviour(status=status, message=message or f"fake {status}", retry_after_ms=retry_after_ms)


def hang() -> Behaviour:
    """No answer until the server stops."""
    return Behaviour(transport="hang")


def drop(after: Behaviour | None = None) -> Behaviour:
    """The work is done, then the connection is closed without an answer."""
    done = after or text("lost")
    return Behaviour(done.content, done.stop_reason, done.output_tokens, transport="drop")


def cut(of: Behaviour | None = None) -> Behaviour:
    """HTTP 200 with half of the JSON."""
    whole = of or text("cut")
    return Behaviour(whole.content, whole.stop_reason, whole.output_tokens, transport="cut")


def refusal() -> Behaviour:
    """A refusal by the safety classifier: no content."""
    return Behaviour(stop_reason="refusal", output_tokens=1)


def tool_use() -> Behaviour:
    """A call of a tool that nobody offered, in place of text."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "unknown_tool", "input": {"bias": "high"}}
    return Behaviour((block,), "tool_use", 5)


def truncated(reply: str) -> Behaviour:
    """A text that ends at ``max_tokens``."""
    return text(reply, "max_tokens")


def expired() -> Behaviour:
    """In a batch: not begun within 24 hours."""
    return Behaviour(result="expired")


def canceled() -> Behaviour:
    """In a batch: cancelled by its owner before it was begun."""
    return Behaviour(result="canceled")


@dataclass(frozen=True)
class Recorded:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def prompt(self) -> str:
        """Text of the last user turn of a Messages request."""
        return prompt_of(self.body)


def prompt_of(params: dict[str, Any]) -> str:
    """Text of the last turn of a request's parameters."""
    return texts(params["messages"][-1])


def article_of(params: dict[str, Any]) -> str:
    """Text of the first turn of a request's parameters: what a judge is to grade, however often it is asked."""
    return texts(params["messages"][0])


def texts(message: dict[str, Any]) -> str:
    """Text of one message."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


@dataclass
class _Batch:
    created: str
    results: list[dict[str, Any]]
    polls: int
    cancelling: bool = False


@dataclass
class FakeAnthropic:
    """The server. Use it as a context manager.

    Attributes:
        answer: What becomes of the parameters of one request, unless a fault comes first.
        polls: How often a batch is said to be in progress before it has ended.
        revoke_after: After so many requests the key is invalid; None for never.
        requests: Every request, in order of arrival.
        paid: Parameters of every message that was made, so that what was paid for twice is seen.
        complaints: Why requests were refused as malformed.
    """

    answer: Callable[[dict[str, Any]], Behaviour] = lambda params: text("ok")
    polls: int = 1
    revoke_after: int | None = None
    requests: list[Recorded] = field(default_factory=list)
    paid: list[dict[str, Any]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.faults: dict[str, deque[Behaviour | None]] = {}
        self.batches: dict[str, _Batch] = {}
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True
        self.http.block_on_close = False

    def __enter__(self) -> "FakeAnthropic":
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stopping.set()
        self.http.shutdown()
        self.http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def fault(self, route: str, *behaviours: Behaviour | None) -> None:
        """What becomes of the next requests of a route (messages, create, retrieve, results, list); None: nothing."""
        assert route in {"messages", "create", "retrieve", "results", "list"}, route
        self.faults.setdefault(route, deque()).extend(behaviours)

    def script(self, *behaviours: Behaviour) -> None:
        """Answer in this order, and with the last one from then on."""
        order = deque(behaviours)
        self.answer = lambda params: order.popleft() if len(order) > 1 else order[0]

    def seen(self, method: str, path: str) -> list[Recorded]:
        """The requests of a method and a path (a regular expression)."""
        return [one for one in self.requests if one.method == method and re.fullmatch(path, one.path)]

    # --- what the handler asks, under the lock ---

    def next_fault(self, route: str) -> Behaviour | None:
        waiting = self.faults.get(route)
        return waiting.popleft() if waiting else None

    def message(self, params: dict[str, Any], behaviour: Behaviour) -> dict[str, Any]:
        """A message in the API's form. Making one is what is paid for."""
        self.paid.append(params)
        written = "".join(block.get("text", "") for block in behaviour.content)
        spent = behaviour.output_tokens if behaviour.output_tokens is not None else max(1, len(written) // 4)
        return {
            "id": f"msg_{len(self.paid):05d}",
            "type": "message",
            "role": "assistant",
            "model": params["model"],
            "content": list(behaviour.content),
            "stop_reason": behaviour.stop_reason,
            "stop_sequence": None,
            "stop_details": {"type": "refusal"} if behaviour.stop_reason == "refusal" else None,
            "usage": {"input_tokens": max(1, len(json.dumps(params)) // 4), "output_tokens": spent},
        }

    def result(self, request: dict[str, Any]) -> dict[str, Any]:
        """One line of a batch's results."""
        behaviour = self.answer(request["params"])
        if behaviour.status != 200:
            outcome = {"type": "errored", "error": _error_body(behaviour.status, behaviour.message)}
        elif behaviour.result != "succeeded":
            outcome = {"type": behaviour.result}
        else:
            outcome = {"type": "succeeded", "message": self.message(request["params"], behaviour)}
        return {"custom_id": request["custom_id"], "result": outcome}

    def create(self, requests: list[dict[str, Any]]) -> str:
        name = f"msgbatch_{len(self.batches) + 1:04d}"
        results = [self.result(request) for request in requests][::-1]  # the API promises no order
        self.batches[name] = _Batch(_timestamp(), results, self.polls)
        return name

    def described(self, name: str, poll: bool) -> dict[str, Any]:
        """A batch as the API describes it; asking for it brings its end nearer."""
        batch = self.batches[name]
        ended = batch.polls <= 0
        batch.polls -= poll
        kinds = [line["result"]["type"] for line in batch.results]
        counts = {kind: kinds.count(kind) * ended for kind in ("succeeded", "errored", "canceled", "expired")}
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended" if ended else "canceling" if batch.cancelling else "in_progress",
            "request_counts": counts | {"processing": 0 if ended else len(kinds)},
            "created_at": batch.created,
            "expires_at": batch.created,
            "ended_at": batch.created if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{self.url}/v1/messages/batches/{name}/results" if ended else None,
        }


def _timestamp() -> str:
    now = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"


def _error_body(status: int, message: str) -> dict[str, Any]:
    kind = ERROR_TYPES.get(status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake"}


def malformed(params: Any) -> str | None:
    """What the real API would refuse about the parameters of a message, None when they are fine."""
    if not isinstance(params, dict):
        return "params: not an object"
    for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
        if not isinstance(params.get(name), kind) or not params[name]:
            return f"{name}: Field required"
    for name in ("temperature", "top_p", "top_k", "custom_id", "extra_body"):
        if name in params:  # sampling parameters: API version 2026-10-21
            return f"{name}: Extra inputs are not permitted"
    if params.get("stream"):
        return "stream: this fake does not stream"
    form = params.get("output_config", {}).get("format") or params.get("output_format")
    if form is not None and (form.get("type") != "json_schema" or not isinstance(form.get("schema"), dict)):
        return "output_config.format: expected a JSON schema"
    return None


def malformed_batch(body: Any) -> str | None:
    """What the real API would refuse about a batch as a whole."""
    requests = body.get("requests") if isinstance(body, dict) else None
    if not requests:
        return "requests: Field required"
    names = [request.get("custom_id", "") for request in requests]
    wrong = [name for name in names if not _CUSTOM_ID.fullmatch(name)]
    if wrong or len(set(names)) < len(names):
        return (
            f"requests: custom_id must be unique and match {_CUSTOM_ID.pattern}, found {wrong[:1] or 'a repeated one'}"
        )
    return next((found for request in requests if (found := malformed(request.get("params")))), None)


def _handler(server: FakeAnthropic) -> type[BaseHTTPRequestHandler]:
    """The request handler of one server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # header and body are two writes; without it each answer waits for an ACK

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self.handle_one("GET")

        def do_POST(self) -> None:
            self.handle_one("POST")

        def do_DELETE(self) -> None:
            self.handle_one("DELETE")

        def handle_one(self, method: str) -> None:
            path = self.path.split("?")[0]
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            with server.lock:
                body = json.loads(raw) if raw else None
                server.requests.append(Recorded(method, path, {k.lower(): v for k, v in self.headers.items()}, body))
                given = self.headers.get("x-api-key") or (self.headers.get("authorization") or "").removeprefix(
                    "Bearer "
                )
                revoked = server.revoke_after is not None and len(server.requests) > server.revoke_after
                if given != KEY or revoked:
                    behaviour, payload = error(401, "invalid x-api-key"), None
                else:
                    behaviour, payload = self.dispatch(method, path, body)
            self.answer(behaviour, payload)

        def dispatch(self, method: str, path: str, body: Any) -> tuple[Behaviour, Any]:
            if (method, path) == ("POST", "/v1/messages"):
                return self.messages(body)
            if (method, path) == ("POST", "/v1/messages/count_tokens"):
                return Behaviour(), {"input_tokens": len(json.dumps(body)) // 4}
            match = _BATCHES.fullmatch(path)
            if match is None:
                return self.refused(404, f"no such path: {method} {path}")
            name, verb = match["id"], match["verb"]
            if name is None:
                return self.create(body) if method == "POST" else self.listed()
            if name not in server.batches:
                return error(404, f"no such batch: {name}"), None
            if (method, verb) == ("GET", None):
                return server.next_fault("retrieve") or Behaviour(), server.described(name, poll=True)
            if (method, verb) == ("GET", "results"):
                return self.results(name)
            if (method, verb) == ("POST", "cancel"):
                server.batches[name].cancelling = True
                return Behaviour(), server.described(name, poll=False)
            return self.refused(404, f"no such path: {method} {path}")

        def refused(self, status: int, why: str) -> tuple[Behaviour, Any]:
            server.complaints.append(why)
            return error(status, why), None

        def messages(self, params: Any) -> tuple[Behaviour, Any]:
            wrong = malformed(params)
            if wrong:
                return self.refused(400, wrong)
            behaviour = server.next_fault("messages") or server.answer(params)
            made = behaviour.status == 200 and behaviour.transport != "hang"
            return behaviour, server.message(params, behaviour) if made else None

        def create(self, body: Any) -> tuple[Behaviour, Any]:
            wrong = malformed_batch(body)
            if wrong:
                return self.refused(400, wrong)
            behaviour = server.next_fault("create") or Behaviour()
            made = behaviour.status == 200 and behaviour.transport != "hang"
            return behaviour, server.described(server.create(body["requests"]), poll=False) if made else None

        def listed(self) -> tuple[Behaviour, Any]:
            data = [server.described(name, poll=False) for name in reversed(server.batches)]
            ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
            return server.next_fault("list") or Behaviour(), {"data": data, "has_more": False} | ends

        def results(self, name: str) -> tuple[Behaviour, Any]:
            if server.described(name, poll=False)["results_url"] is None:
                return self.refused(400, f"{name} has not ended")
            lines = "".join(json.dumps(line) + "\n" for line in server.batches[name].results)
            return server.next_fault("results") or Behaviour(), lines

        def answer(self, behaviour: Behaviour, payload: Any) -> None:
            if behaviour.transport == "hang":
                server.stopping.wait(60)
            if behaviour.transport in {"hang", "drop"}:
                self.close_connection = True
                return
            if behaviour.status != 200:
                payload = _error_body(behaviour.status, behaviour.message)
            whole = (payload if isinstance(payload, str) else json.dumps(payload)).encode()
            self.send_body(behaviour, whole[: len(whole) // 2] if behaviour.transport == "cut" else whole)

        def send_body(self, behaviour: Behaviour, sent: bytes) -> None:
            self.send_response(behaviour.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(sent)))
            self.send_header("request-id", "req_fake")
            if behaviour.status != 200 and behaviour.retry_after_ms is not None:
                self.send_header("retry-after-ms", str(behaviour.retry_after_ms))
            try:
                self.end_headers()
                self.wfile.write(sent)
            except OSError:  # the client has gone
                self.close_connection = True

    return Handler


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAnthropic]:
    """A running fake API that the SDK and Inspect find by themselves."""
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_LOG", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with FakeAnthropic() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))  # a cached reply would never reach the server
        yield server
