"""Every row of PROTOCOL.md's tables through a session: what ends a turn, what is tried again, and how."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, get_args

import msgspec
import pytest
from support.cases import each_of
from support.coordinated import DOWN, Told, session_of
from support.facing import Run
from support.hand import DONE, HELLO, LISTING, PAGE, STREAM, Hand

from ddg_protocol import (
    DUCKDUCKGO_2025_04,
    NEED_DATA,
    PAUSED,
    ChatTimeoutError,
    ClientState,
    Conversation,
    ConversationFormatError,
    CoordinationError,
    DuckChatError,
    Event,
    Failure,
    FailureKind,
    HandshakeError,
    Identity,
    Intent,
    LocalProtocolError,
    Message,
    ModelNotSupportedError,
    Policy,
    RateLimitError,
    RemoteProtocolError,
    Retrying,
    SendRequest,
    ServiceError,
    Session,
    SolveChallenge,
    TextDelta,
    TransportError,
    TurnAborted,
    TurnFinished,
    UnsupportedChallenge,
    Wait,
    errors,
)
from ddg_protocol.coordination import Busy, Claim, Commit, Done, Lost, Refused, Reserve
from ddg_protocol.coordination._documents import write_reply
from ddg_protocol.errors import (
    AccessDeniedError,
    BadRequestError,
    BlockedError,
    ChallengeError,
    ChatBusy,
    ContentDecodingError,
    ConversationBusy,
    ConversationLimitError,
    EmptyResponseError,
    EngineUnavailable,
    FrontEndVersionMissing,
    IncompleteStream,
    InputLimitError,
    InvalidToken,
    MalformedEvent,
    MalformedModelList,
    ModelUnavailableError,
    OutputLimitError,
    PaceRefused,
    RedirectRefused,
    ServiceUnavailableError,
    StreamTooLarge,
    TokenError,
    TurnNotStored,
    TurnSuperseded,
    UserLimitError,
)
from ddg_protocol.events import (
    ChallengeReceived,
    ConversationTitle,
    FrontEndVersionUnknown,
    Heartbeat,
    LandingPageFailed,
    LimitReached,
    MalformedPayload,
    ServiceNotice,
    Source,
    StopReason,
    UnknownPayload,
)
from ddg_protocol.model_list import read_models
from ddg_protocol.service import Service

Answer = Callable[[Hand], None]


@dataclass
class Played:
    """What came of a turn."""

    hand: Hand
    paths: list[str] = field(default_factory=list)
    error: DuckChatError | None = None
    solves: list[SolveChallenge] = field(default_factory=list)

    @property
    def retries(self) -> list[tuple[int, float]]:
        return [(event.attempt, event.delay) for event in self.hand.events if isinstance(event, Retrying)]

    @property
    def last_sent(self) -> dict[str, str]:
        """The fields of the last request."""
        assert self.hand.request is not None
        return dict(self.hand.request.headers)

    @property
    def finished(self) -> TurnFinished:
        assert self.error is None
        (event,) = [event for event in self.hand.events if isinstance(event, TurnFinished)]
        return event

    def reraise(self) -> None:
        assert self.error is not None
        raise self.error

    def caught(self, kind: type[DuckChatError]) -> DuckChatError:
        assert type(self.error) is kind
        return self.error


def play(
    answers: dict[str, Answer | Sequence[Answer]], *, session: Session | None = None, challenge: str = ""
) -> Played:
    """Ask, and answer what is requested: as said for its path, the last of several for good; else as all is well."""
    hand = Hand(session or Session(jitter=lambda: 0.0))
    played = Played(hand)
    left = {path: [answer] if callable(answer) else list(answer) for path, answer in answers.items()}
    hand.session.ask("Hi", now=hand.now)
    while True:
        try:
            action = hand.pull()
        except DuckChatError as error:
            played.error = error
            assert hand.pull() is PAUSED
            assert hand.session.conversation.message_history == ()
            return played
        if isinstance(action, SolveChallenge):
            played.solves.append(action)
            hand.session.challenge_solved(action, "YW5zd2Vy")
        elif isinstance(action, SendRequest):
            path = "page" if "duckai=1" in action.url else action.url.rpartition("/")[2]
            played.paths.append(path)
            if path in left:
                (left[path].pop(0) if len(left[path]) > 1 else left[path][0])(hand)
            elif path == "chat":
                hand.answer(200, STREAM, HELLO + DONE)
            else:
                hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", challenge)], body=PAGE)
        else:
            assert action is PAUSED
            return played


def says(status: int, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> Answer:
    return lambda hand: hand.answer(status, headers, body)


def breaks(kind: FailureKind) -> Answer:
    return lambda hand: hand.fail(kind)


def replies(*payloads: bytes) -> Answer:
    return says(200, b"".join(b"data: " + payload + b"\n\n" for payload in payloads), STREAM)


def to_request(hand: Hand, path: str) -> SendRequest:
    """Ask, and answer all requests before the one for a path, which is returned."""
    hand.session.ask("Hi", now=hand.now)
    request = hand.pull()
    assert isinstance(request, SendRequest)
    while not request.url.endswith(path):
        hand.answer(headers=[("x-vqd-4", "4-1")] if request.url.endswith("/status") else (), body=PAGE)
        request = hand.pull()
        assert isinstance(request, SendRequest)
    return request


# Section 7, the table: (status, type, exception, what the session does about it)

ROWS: list[tuple[int, str | None, type[ServiceError], str]] = [
    (418, "ERR_CHALLENGE", ChallengeError, "once with an answer"),
    (418, "ERR_BN_LIMIT", BlockedError, "no"),
    (429, "ERR_CONVERSATION_LIMIT", ConversationLimitError, "no"),
    (429, "ERR_INPUT_LIMIT", InputLimitError, "no"),
    (429, "ERR_USER_LIMIT", UserLimitError, "no"),
    (429, "ERR_SERVICE_UNAVAILABLE", RateLimitError, "with fresh cookies and tokens"),
    (429, "ERR_RATE_LIMIT", RateLimitError, "with fresh cookies and tokens"),
    (429, "ERR_RATELIMIT", RateLimitError, "with fresh cookies and tokens"),
    (429, None, RateLimitError, "with fresh cookies and tokens"),
    (400, "ERR_INVALID_VQD", TokenError, "once with fresh tokens"),
    (400, "ERR_EXPIRED_VQD", TokenError, "once with fresh tokens"),
    (404, "ERR_MODEL_UNAVAILABLE", ModelUnavailableError, "no"),
    (404, "ERR_MODEL_RESTRICTED", ModelUnavailableError, "no"),
    *[(status, None, AccessDeniedError, "no") for status in (401, 402, 403)],
    *[(status, None, ServiceUnavailableError, "yes") for status in (500, 502, 503, 504, *range(520, 527))],
    (400, "ERR_BAD_REQUEST", BadRequestError, "no"),
    (400, "ERR_INVALID_INPUT", BadRequestError, "no"),
    (410, "ERR_ENDPOINT_DEPRECATED", BadRequestError, "no"),
    (429, "ERR_OUTPUT_LIMIT", OutputLimitError, "no"),
    (429, "ERR_ACCOUNT_LIMIT", UserLimitError, "no"),
    (429, "ERR_IMAGE_GENERATION_LIMIT", UserLimitError, "no"),
    (418, "ERR_INVALID_CHALLENGE", ChallengeError, "once with an answer"),
    (503, "ERR_SERVICE_UNAVAILABLE", ServiceUnavailableError, "yes"),
    *[
        (500, kind, ServiceUnavailableError, "yes")
        for kind in ("ERR_UPSTREAM", "ERR_SERVICE_OFFLINE", "ERR_NETWORK", "ERR_STREAM_NETWORK")
    ],
    (404, None, ServiceError, "no"),
    (409, None, ServiceError, "no"),
    (418, None, ServiceError, "no"),
    (505, None, ServiceError, "no"),
    (519, None, ServiceError, "no"),
    (527, None, ServiceError, "no"),
]

#: What is requested again, for each way of trying again, when every try of the chat request ends the same.
AGAIN: dict[str, list[str]] = {
    "no": [],
    "once with an answer": ["status", "chat"],
    "once with fresh tokens": ["status", "chat"],
    "yes": ["status", "chat"] * 3,
    "with fresh cookies and tokens": ["aichat", "status", "chat"] * 3,
}
DELAYS: dict[str, list[tuple[int, float]]] = {
    "no": [],
    "once with an answer": [],
    "once with fresh tokens": [(1, 0.0)],
    "yes": [(1, 4.0), (2, 8.0), (3, 16.0)],
    "with fresh cookies and tokens": [(1, 4.0), (2, 8.0), (3, 16.0)],
}


def body_of(status: int, kind: str | None) -> bytes:
    return json.dumps({"action": "error", "status": status, **({"type": kind} if kind else {})}).encode()


def solving() -> Session:
    return Session(jitter=lambda: 0.0, solver="embedder")


@each_of("stream", [False, True])
@each_of("status, kind, exception, retried", ROWS)
def test_a_refused_question_is_the_exception_of_its_row_and_tried_again_as_the_row_says(
    status: int, kind: str | None, exception: type[ServiceError], retried: str, stream: bool
) -> None:
    body = body_of(status, kind)
    refuses = replies(body) if stream else says(status, body)
    played = play({"chat": refuses}, session=solving(), challenge="e30=")
    error = played.caught(exception)
    assert isinstance(error, ServiceError)
    assert (error.status, error.type, error.retry_after, error.body) == (status, kind, None, body)
    assert error.retryable == (exception in (RateLimitError, TokenError, ServiceUnavailableError))
    assert str(status) in str(error)
    assert played.paths == ["page", "aichat", "status", "chat", *AGAIN[retried]]
    assert played.retries == DELAYS[retried]
    assert (ChallengeReceived() in played.hand.events) == (retried == "once with an answer")


@each_of("status, kind, exception, retried", ROWS)
def test_a_refused_status_request_is_the_exception_of_its_row_and_tried_again_where_that_is_for_later(
    status: int, kind: str | None, exception: type[ServiceError], retried: str
) -> None:
    played = play({"status": says(status, body_of(status, kind))}, session=solving())
    played.caught(exception)
    tries = {"yes": ["status"], "with fresh cookies and tokens": ["aichat", "status"]}.get(retried, [])
    assert played.paths == ["page", "aichat", "status", *tries * 3]
    assert played.retries == ([(1, 2.0), (2, 4.0), (3, 8.0)] if tries else [])


@each_of("page", ["page", "aichat"])
@each_of("status, kind, exception, retried", ROWS)
def test_a_refused_page_is_an_event_and_not_tried_again(
    status: int, kind: str | None, exception: type[ServiceError], retried: str, page: str
) -> None:
    played = play({page: says(status, body_of(status, kind))})
    assert played.finished.text == "Hello"
    assert played.paths == ["page", "aichat", "status", "chat"]
    (event,) = [e for e in played.hand.events if isinstance(e, FrontEndVersionUnknown | LandingPageFailed)]
    assert isinstance(event, FrontEndVersionUnknown if page == "page" else LandingPageFailed)
    assert type(event.cause) is exception


@each_of(
    "status, exception",
    [(429, RateLimitError), (403, AccessDeniedError), (503, ServiceUnavailableError), (200, ServiceError)],
)
@each_of("body", [b"", b"<html>Just a moment...</html>", b"\xff{", b"[]", b'{"type":7}'])
def test_a_body_that_says_nothing_leaves_it_to_the_status(
    status: int, exception: type[ServiceError], body: bytes
) -> None:
    error = play({"chat": says(status, body, [("content-type", "text/html")])}).caught(exception)
    assert isinstance(error, ServiceError)
    assert (error.status, error.type, error.body) == (status, None, body)
    assert ("CDN" in str(error)) == (status == 403 and b"Just a moment" in body)


def test_a_200_that_is_no_event_stream_is_read_as_an_error_body() -> None:
    body = b'{"action":"error","status":429,"type":"ERR_USER_LIMIT"}'
    play({"chat": says(200, body, [("content-type", "application/json")])}).caught(UserLimitError)


@each_of("content_type", ["text/event-stream", "Text/Event-Stream ; charset=utf-8"])
def test_a_content_type_is_an_event_stream_by_its_name_alone(content_type: str) -> None:
    assert play({"chat": says(200, HELLO + DONE, [("content-type", content_type)])}).finished.text == "Hello"


@each_of("retried", ["ok later", "refused to the end"])
def test_a_retry_after_is_honoured_where_it_is_longer_than_the_backoff(retried: str) -> None:
    refuses = [says(503, headers=[("retry-after", seconds)]) for seconds in ("1", "9", "60")]
    answers = [*refuses, replies(b'{"action":"success","message":"Hello"}', b"[DONE]")]
    played = play({"chat": answers if retried == "ok later" else [*refuses, says(503)]})
    assert played.retries == [(1, 4.0), (2, 9.0), (3, 60.0)]
    assert (played.error is None) == (retried == "ok later")
    assert [wait.reason for wait in played.hand.waits].count("backoff") == 3


def test_a_refused_answer_is_not_answered_again() -> None:
    body = body_of(418, "ERR_CHALLENGE")
    pair = [("x-vqd-4", "4-2"), ("x-vqd-hash-1", "e31=")]
    played = play({"chat": says(418, body, pair)}, session=solving())
    played.caught(ChallengeError)
    # The refusal brought the pair for the second try: no status request between.
    assert played.paths == ["page", "aichat", "status", "chat", "chat"]
    assert played.last_sent["x-vqd-4"] == "4-2"


def test_an_empty_challenge_can_not_be_answered() -> None:
    played = play({"chat": says(418, body_of(418, "ERR_CHALLENGE"), [("x-vqd-4", "4-2")])}, session=solving())
    played.caught(ChallengeError)
    assert played.paths == ["page", "aichat", "status", "chat"]


def test_the_embedders_own_cookies_stay_when_a_429_calls_for_fresh_ones() -> None:
    session = Session(jitter=lambda: 0.0, cookies={"mine": "7"})
    played = play({"chat": [says(429, headers=[("set-cookie", "seen=1")]), says(503)]}, session=session)
    assert played.paths[:5] == ["page", "status", "chat", "status", "chat"]  # no landing page
    cookies = played.last_sent["cookie"]
    assert set(cookies.split("; ")) == {"mine=7", "dcs=1", "dcm=3"}


def test_no_retries_are_made_where_the_policy_allows_none() -> None:
    played = play({"chat": says(503)}, session=Session(policy=Policy(max_retries=0)))
    played.caught(ServiceUnavailableError)
    assert played.paths == ["page", "aichat", "status", "chat"]


@each_of("kind", [FailureKind.NOT_SENT, FailureKind.TIMEOUT])
def test_requests_without_a_response_have_a_bound_of_their_own(kind: FailureKind) -> None:
    policy = Policy(max_retries=3, max_unanswered_retries=1)
    played = play({"status": breaks(kind)}, session=Session(policy=policy))
    played.caught(ChatTimeoutError if kind is FailureKind.TIMEOUT else TransportError)
    assert played.paths == ["page", "aichat", *["status"] * 2]
    played = play({"status": says(503)}, session=Session(policy=policy))
    played.caught(ServiceUnavailableError)
    assert played.paths == ["page", "aichat", *["status"] * 4]


def test_the_bound_for_requests_without_a_response_counts_every_retry_of_the_kind() -> None:
    policy = Policy(max_retries=3, max_unanswered_retries=1)
    played = play({"status": [says(503), breaks(FailureKind.CUT)]}, session=Session(policy=policy))
    played.caught(TransportError)
    assert played.paths == ["page", "aichat", *["status"] * 2]


def test_requests_of_a_kind_that_is_tried_again_are_paced_further_apart() -> None:
    session = Session(jitter=lambda: 0.0, policy=Policy(base_delay=0.0))
    hand = Hand(session)
    hand.to_chat()
    starts = [hand.now]
    for _ in range(3):
        hand.answer(503, [("x-vqd-4", "4-2")])
        hand.request_for("/chat")
        starts.append(hand.now)
    assert [after - before for before, after in pairwise(starts)] == [2.25, 3.0, 3.75]


def test_a_cancelled_wait_gives_its_start_back() -> None:
    shared = ClientState()
    first, second, third = (Hand(Session(shared=shared)) for _ in range(3))
    first.session.ask("Hi", now=0)
    first.request_for("duckai=1")
    for hand in (second, third):
        hand.session.ask("Hi", now=0)
        while not isinstance(action := hand.session.next_action(now=0), Wait):
            pass
        assert (action.until, action.reason) == (1.5, "pacing")
        hand.session.cancel()


def test_a_prompt_of_16000_characters_is_sent_and_one_more_is_not() -> None:
    for length in (16_000, 16_001):
        hand = Hand()
        hand.session.ask("x" * length, now=0)
        if length == 16_000:
            hand.request_for("duckai=1")
        else:
            with pytest.raises(InputLimitError):
                hand.pull()


# Section 3: the handshake, when something else than a status is wrong


@each_of(
    "headers, exception, tries",
    [
        ([], HandshakeError, 4),
        ([("x-vqd-4", "")], HandshakeError, 4),
        ([("x-vqd-hash-1", "e30=")], HandshakeError, 4),
        ([("x-vqd-4", "4-é")], InvalidToken, 1),
        ([("x-vqd-4", "4-1\0")], InvalidToken, 1),
        ([("x-vqd-4", "4" * 65537)], InvalidToken, 1),
        ([("x-vqd-4", "4-1"), ("x-vqd-hash-1", "a b")], InvalidToken, 1),
    ],
)
def test_a_status_without_tokens_that_can_be_sent_back(
    headers: list[tuple[str, str]], exception: type[DuckChatError], tries: int
) -> None:
    played = play({"status": says(200, b"{}", headers)})
    played.caught(exception)
    assert played.paths.count("status") == tries


@each_of("status", [200, 503])
def test_the_clients_own_cookies_are_set_whatever_the_landing_page_made_of_them(status: int) -> None:
    page = says(status, headers=[("set-cookie", "dcs=9; path=/"), ("set-cookie", "dcm=; max-age=0; path=/")])
    assert set(play({"aichat": page}).last_sent["cookie"].split("; ")) == {"dcs=1", "dcm=3"}


def test_a_token_of_a_chat_response_that_could_not_be_sent_back_rejects_the_response() -> None:
    played = play({"chat": says(200, HELLO + DONE, [*STREAM, ("x-vqd-4", "4-\n")])})
    played.caught(InvalidToken)


@each_of("word, meaning", [("1", "this user"), ("2", "service's own"), ("9", "status 9")])
def test_a_status_that_is_not_ok_is_an_event_and_not_fatal(word: str, meaning: str) -> None:
    body = json.dumps({"status": word}).encode()
    played = play({"status": says(200, body, [("x-vqd-4", "4-1")])})
    assert played.finished.text == "Hello"
    (notice,) = [event for event in played.hand.events if isinstance(event, ServiceNotice)]
    assert notice.status == word
    assert meaning in notice.text


@each_of("body", [b"", b"<html>", b'{"status":"0"}', b'{"status":0}'])
def test_a_status_body_that_says_nothing_special_is_no_event(body: bytes) -> None:
    played = play({"status": says(200, body, [("x-vqd-4", "4-1")])})
    assert not any(isinstance(event, ServiceNotice) for event in played.hand.events)


@each_of(
    "answer, cause",
    [
        (says(200, b"<html>no markers"), FrontEndVersionMissing),
        (says(404), ServiceError),
        (says(302, headers=[("location", "https://evil.example/")]), RedirectRefused),
        (says(200, PAGE[:60], [("content-length", "1000")]), IncompleteStream),
        (says(200, b"x", [("content-encoding", "br")]), ContentDecodingError),
        (says(200, b"x", [("content-encoding", "gzip")]), ContentDecodingError),
        (says(200, b"x" * (131 * 1024), [("x", "y" * (129 * 1024))]), StreamTooLarge),
        (breaks(FailureKind.NOT_SENT), TransportError),
        (breaks(FailureKind.TLS), TransportError),
        (breaks(FailureKind.TIMEOUT), ChatTimeoutError),
    ],
)
@each_of("required", [False, True])
def test_a_page_without_a_version_is_an_event_or_an_error_where_the_profile_requires_one(
    answer: Answer, cause: type[DuckChatError], required: bool
) -> None:
    profile = DUCKDUCKGO_2025_04
    if required:
        profile = profile.at(profile.origin, allowed_hosts=profile.allowed_hosts, front_end_version_required=True)
    played = play({"page": answer}, session=Session(profile))
    if required:
        error = played.caught(FrontEndVersionMissing)
        assert type(error.__cause__) is cause
        assert played.paths == ["page"]
    else:
        (event,) = [event for event in played.hand.events if isinstance(event, FrontEndVersionUnknown)]
        assert type(event.cause) is cause
        assert played.last_sent["x-fe-version"] == ""


def test_a_version_in_what_came_of_a_page_is_a_version_whatever_became_of_the_rest() -> None:
    def cut(hand: Hand) -> None:
        assert hand.request is not None
        hand.session.receive_head(hand.request, 200, (), now=hand.now)
        hand.session.receive_data(hand.request, PAGE)
        hand.fail(FailureKind.CUT)

    played = play({"page": cut})
    assert played.last_sent["x-fe-version"] == "serp_1_ET-0123456789abcdef0123"


def raw_deflate(body: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(body) + deflate.flush()


@each_of(
    "coding, encode",
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
    ],
)
def test_a_page_and_a_reply_in_any_coding_that_is_read(coding: str, encode: Callable[[bytes], bytes]) -> None:
    coded = ("content-encoding", coding)
    played = play({"page": says(200, encode(PAGE), [coded]), "chat": says(200, encode(HELLO + DONE), [*STREAM, coded])})
    assert played.finished.text == "Hello"
    assert played.last_sent["x-fe-version"] == "serp_1_ET-0123456789abcdef0123"


# Section 3: redirects


@each_of("status", [301, 302, 303, 307, 308])
@each_of("path", ["page", "aichat", "status"])
def test_a_get_is_redirected_at_once_and_not_paced(status: int, path: str) -> None:
    hand = Hand()
    to_request(hand, {"page": "duckai=1", "aichat": "/aichat", "status": "/status"}[path])
    waits = len(hand.waits)
    hand.answer(status, [("location", "https://start.duckduckgo.com/there"), ("set-cookie", "on=way")], b"moved")
    request = hand.request_for("/there")
    assert (request.method, request.url) == ("GET", "https://start.duckduckgo.com/there")
    assert len(hand.waits) == waits
    assert "dcs" not in dict(request.headers).get("cookie", "")
    assert not {"x-vqd-4", "x-vqd-hash-1"} & dict(request.headers).keys()


def test_ten_redirects_are_followed_and_the_eleventh_is_refused() -> None:
    turns = [says(307, headers=[("location", f"/duckchat/v{n}/status")]) for n in range(2, 20)]
    played = play({"status": turns})
    played.caught(RedirectRefused)
    assert played.paths == ["page", "aichat", *["status"] * 11]


def test_a_redirect_is_followed_though_its_body_is_cut_or_garbled() -> None:
    location = ("location", "/elsewhere")
    for answer in (
        says(302, b"x", [location, ("content-length", "9")]),
        says(302, b"x", [location, ("content-encoding", "gzip")]),
        says(302, b"x", [location, ("content-encoding", "br")]),
    ):
        hand = Hand()
        to_request(hand, "/aichat")
        answer(hand)
        hand.request_for("/elsewhere")


def test_a_redirected_status_still_gives_the_tokens() -> None:
    hand = Hand()
    to_request(hand, "/status")
    hand.answer(307, [("location", "https://duck.ai/duckchat/v1/status"), ("x-vqd-4", "4-0")])
    hand.request_for("/status")
    hand.answer(200, [("x-vqd-4", "4-7")])
    assert dict(hand.request_for("/chat").headers)["x-vqd-4"] == "4-7"


# Section 3: cookies are taken as they come


def test_cookies_of_a_redirect_and_of_a_refusal_are_taken() -> None:
    on_the_way = says(307, headers=[("location", "/moved/status"), ("set-cookie", "way=1; path=/")])
    tokens = says(200, headers=[("x-vqd-4", "4-1")])
    refused = says(503, headers=[("set-cookie", "refused=1; path=/"), ("x-vqd-4", "4-2")])
    played = play({"status": [on_the_way, tokens], "chat": [refused, replies(piece("Hi"), b"[DONE]")]})
    assert played.finished.text == "Hi"
    assert {"way=1", "refused=1"} <= set(played.last_sent["cookie"].split("; "))


# Section 5: the answer is about the identity that is really sent


@each_of("style", ["python", "compact"])
def test_an_answer_is_of_the_identity_that_is_sent_in_the_style_of_the_profile(
    style: Literal["python", "compact"],
) -> None:
    identity = Identity(user_agent="Honest Chrome/137.0.0.0", sec_ch_ua='"Honest";v="1"')
    profile = msgspec.structs.replace(DUCKDUCKGO_2025_04, identity=identity, answer_style=style)
    run = Run(Session(profile, answer_challenge="always"), Service(profile, strict=True, challenge=True))
    run.ask("Hi")
    assert run.statuses == [200, 200, 200, 200]
    sent = dict(run.requests[-1].headers)
    assert (sent["user-agent"], sent["sec-ch-ua"]) == (identity.user_agent, identity.sec_ch_ua)
    assert (b'": ' in base64.b64decode(sent["x-vqd-hash-1"])) == (style == "python")


def test_a_solver_is_told_the_identity_that_is_sent() -> None:
    identity = Identity(user_agent="Honest/1", sec_ch_ua="")
    profile = msgspec.structs.replace(DUCKDUCKGO_2025_04, identity=identity)
    session = Session(profile, answer_challenge="always", solver="embedder")
    (solve,) = play({}, session=session, challenge="e30=").solves
    assert (solve.identity, solve.script) == (identity, "{}")


# Section 6, the table: through a session, with text before and the end after


def piece(text: str) -> bytes:
    return json.dumps({"action": "success", "message": text}).encode()


PAYLOADS: list[tuple[bytes, list[Event]]] = [
    (b'{"role":"assistant","message":"x","created":1,"id":"i","action":"success","model":"m"}', [TextDelta("x")]),
    (b'{"action":"success","role":"assistant"}', []),
    (b'{"action":"success","message":"x"}', [TextDelta("x")]),
    (b'{"action":"success","message":""}', []),
    (b'{"action":"success","message":null}', []),
    (b"[PING]", [Heartbeat()]),
    (b"[CHAT_TITLE:The sky]", [ConversationTitle("The sky")]),
    (b"[LIMIT_CONVERSATION]", [LimitReached("conversation")]),
    (b"[LIMIT_ENTITY]", [LimitReached("entity")]),
    (b"[LIMIT_ACCOUNT]", [LimitReached("account")]),
    (b"[LIMIT_INPUT]", [LimitReached("input")]),
    (b"[LIMIT_OUTPUT]", [LimitReached("output")]),
    (b"[LIMIT_IMAGE_GENERATIONS]", [LimitReached("image_generations")]),
    (b"[STOP_REASON:length]", [StopReason("length")]),
    (b'{"role":"tool","message":"x"}', [UnknownPayload(b'{"role":"tool","message":"x"}')]),
    (
        b'{"action":"success","message":"x","parts":[{}]}',
        [TextDelta("x"), UnknownPayload(b'{"action":"success","message":"x","parts":[{}]}')],
    ),
    (b"[UNKNOWN]", [UnknownPayload(b"[UNKNOWN]")]),
    (b'{"source":{"url":"https://x.example"}}', [Source("https://x.example")]),
    (b'{"action":"dance"}', [UnknownPayload(b'{"action":"dance"}')]),
    (b"7", [UnknownPayload(b"7")]),
]
MALFORMED = [b"not JSON", b"[UNKNOWN", b"{", b"\xff"]


@each_of("strict", [False, True])
@each_of("payload, events", PAYLOADS)
def test_a_payload_of_the_table_gives_its_events(payload: bytes, events: list[Event], strict: bool) -> None:
    played = play({"chat": replies(piece("Hi"), payload, b"[DONE]")}, session=Session(policy=Policy(strict=strict)))
    began = played.hand.events.index(TextDelta("Hi"))
    assert played.hand.events[began + 1 : -1] == events
    text = "Hi" + "".join(event.text for event in events if isinstance(event, TextDelta))
    assert played.finished.text == text
    conversation = played.hand.session.conversation
    asked, said = conversation.message_history
    assert (asked, said.role, said.content) == (Message("user", "Hi"), "assistant", text)
    assert conversation.limit_reached == (payload == b"[LIMIT_CONVERSATION]")
    assert conversation.title == ("The sky" if b"TITLE" in payload else None)
    assert played.finished.reason == ("length" if payload == b"[LIMIT_OUTPUT]" else "stop")


@each_of("payload", MALFORMED)
def test_what_is_none_of_the_table_is_an_event_in_lenient_mode_and_an_error_in_strict_mode(payload: bytes) -> None:
    answer = replies(piece("Hi"), payload, b"[DONE]")
    played = play({"chat": answer})
    (event,) = [event for event in played.hand.events if isinstance(event, MalformedPayload)]
    assert played.finished.text == "Hi"
    played = play({"chat": answer}, session=Session(policy=Policy(strict=True)))
    error = played.caught(MalformedEvent)
    assert isinstance(error, MalformedEvent)
    assert (error.text, error.raw) == ("Hi", event.raw)


@each_of(
    "end, reason, served",
    [
        ([b"[DONE]"], "stop", None),
        ([b"[DONE][LIMIT_CONVERSATION]"], "stop", None),
        ([b"[DONE][LIMIT_ENTITY]"], "stop", None),
        ([b"[DONE][LIMIT_OUTPUT]"], "length", None),
        ([b"[DONE]", b"not JSON", b'{"action":"error","status":500}'], "stop", None),
        ([piece("")], "stop", None),
        ([piece(""), b"[PING]"], "stop", None),
        ([], "length", None),
        ([b"[PING]"], "length", None),
        ([b'{"action":"success","message":"","model":"m-1"}'], "stop", "m-1"),
    ],
)
def test_how_a_reply_ends_and_for_what_reason(end: list[bytes], reason: str, served: str | None) -> None:
    finished = play({"chat": replies(piece("Hi"), *end)}).finished
    assert (finished.text, finished.reason, finished.model, finished.served_model) == (
        "Hi",
        reason,
        "gpt-4o-mini",
        served,
    )


@each_of("end", [b"data: {", b'data: {"action":"success","message":"lost"}\n', b"data"])
def test_an_end_within_an_event_is_premature(end: bytes) -> None:
    error = play({"chat": says(200, HELLO + end, STREAM)}).caught(IncompleteStream)
    assert error.text == "Hello"


def test_a_reply_shorter_than_its_content_length_is_premature_unless_it_is_done() -> None:
    length = ("content-length", "9999")
    for headers in ([length], [length, length], [("content-length", "9" * 19)]):
        error = play({"chat": says(200, HELLO, [*STREAM, *headers])}).caught(IncompleteStream)
        assert error.text == "Hello"
    assert play({"chat": says(200, HELLO + DONE, [*STREAM, length])}).finished.text == "Hello"
    # With a transfer-encoding it says nothing (RFC 9112 section 6.3), nor where it is no number, or several.
    others = (
        [length, ("transfer-encoding", "chunked")],
        [("content-length", "many")],
        [("content-length", "9" * 20)],
        [length, ("content-length", "7")],
    )
    for headers in others:
        assert play({"chat": says(200, HELLO, [*STREAM, *headers])}).finished.text == "Hello"


@each_of("body", [b"", b"data: [DONE]\n\n", b"data: [PING]\n\n", b'data: {"action":"success"}\n\n'])
def test_a_reply_without_any_text_is_an_error(body: bytes) -> None:
    played = play({"chat": says(200, body, STREAM)})
    played.caught(EmptyResponseError)
    assert played.retries == []


@each_of(
    "limit, exception",
    [
        ("ACCOUNT", UserLimitError),
        ("ENTITY", UserLimitError),
        ("CONVERSATION", ConversationLimitError),
        ("IMAGE_GENERATIONS", UserLimitError),
        ("INPUT", InputLimitError),
        ("OUTPUT", OutputLimitError),
    ],
)
def test_a_reply_of_a_limit_alone_is_the_refusal_that_the_limit_stands_for(
    limit: str, exception: type[ServiceError]
) -> None:
    played = play({"chat": replies(f"[DONE][LIMIT_{limit}]".encode())})
    played.caught(exception)
    assert LimitReached(limit.lower()) in played.hand.events
    play({"chat": replies(b"[LIMIT_NEW]", b"[DONE]")}).caught(EmptyResponseError)


# What a later revision's profile adds: repeated once, and longer waits

LATER = DUCKDUCKGO_2025_04.at(
    DUCKDUCKGO_2025_04.origin, repeated_once=("unauthorized", "no_events"), throttle_delay=60.0
)


def later() -> Session:
    return Session(LATER, jitter=lambda: 0.0)


@pytest.mark.parametrize(
    ("refuses", "exception"),
    [
        (says(401), AccessDeniedError),
        (replies(body_of(401, None)), AccessDeniedError),
        (says(200, b"", STREAM), EmptyResponseError),
        (says(200, b": busy\n\n", STREAM), EmptyResponseError),
    ],
    ids=["401", "401 in the stream", "empty", "only a comment"],
)
def test_a_profile_has_the_question_repeated_once_after_a_401_and_after_a_reply_without_events(
    refuses: Answer, exception: type[DuckChatError]
) -> None:
    played = play({"chat": refuses}, session=later())
    played.caught(exception)
    assert played.paths == ["page", "aichat", "status", "chat", "status", "chat"]
    assert played.retries == [(1, 0.0)]
    assert play({"chat": [refuses, replies(piece("Hi"), b"[DONE]")]}, session=later()).finished.text == "Hi"
    # The service of April 2025 isn't asked again.
    assert play({"chat": refuses}).paths == ["page", "aichat", "status", "chat"]


@each_of(
    "refuses",
    [says(403), replies(b"[DONE]"), replies(b"[STOP_REASON:refusal]"), says(200, b"", [("content-type", "text/html")])],
)
def test_no_other_refusal_and_no_other_empty_reply_is_repeated_once(refuses: Answer) -> None:
    played = play({"chat": refuses}, session=later())
    assert played.error is not None
    assert played.paths == ["page", "aichat", "status", "chat"]


def test_a_profile_says_how_long_a_throttled_client_waits_where_the_service_does_not() -> None:
    played = play({"chat": says(429)}, session=later())
    played.caught(RateLimitError)
    assert played.retries == [(1, 60.0), (2, 60.0)]  # a third would end after the turn's 180 s
    played = play(
        {"chat": [says(429, headers=[("retry-after", "5")]), replies(piece("Hi"), b"[DONE]")]}, session=later()
    )
    assert played.retries == [(1, 5.0)]


def test_a_throttled_client_waits_as_a_whole() -> None:
    session = later()
    play({"chat": says(429, body_of(429, "ERR_RATE_LIMIT"))}, session=session)
    held = session.shared.pacer.held_until
    assert held > 0
    other = Session(LATER, shared=session.shared)
    other.ask("Hi", now=held - 30)
    other.next_action(now=held - 30)
    wait = other.next_action(now=held - 30)
    assert isinstance(wait, Wait)
    assert wait.until == held


def test_a_picture_check_is_for_a_person_and_not_tried_again() -> None:
    body = b'{"action":"error","status":418,"type":"ERR_CHALLENGE","cd":{"gk":0,"p":"1-2"}}'
    played = play({"chat": says(418, body, [("x-vqd-4", "4-2"), ("x-vqd-hash-1", "e30=")])}, session=solving())
    error = played.caught(ChallengeError)
    assert isinstance(error, ChallengeError)
    assert json.loads(error.picture_check) == {"gk": 0, "p": "1-2"}
    assert "picture check" in str(error)
    assert played.paths == ["page", "aichat", "status", "chat"]
    assert played.solves == []


def test_a_failure_of_the_model_is_tried_again_only_while_no_text_has_come() -> None:
    failed = b'{"action":"error","type":"ERR_UPSTREAM","message":"nope"}'
    played = play({"chat": [replies(failed), replies(piece("Hi"), b"[DONE]")]})
    assert (played.finished.text, played.retries) == ("Hi", [(1, 4.0)])
    played = play({"chat": replies(piece("Hi"), failed)})
    assert played.caught(ServiceUnavailableError).text == "Hi"
    assert played.retries == []


def test_a_reply_that_is_not_of_its_coding_is_an_error_with_the_text_that_came() -> None:
    coded = gzip.compress(HELLO + DONE)
    headers = [*STREAM, ("content-encoding", "gzip")]
    played = play({"chat": says(200, coded[:-20], headers)})
    played.caught(ContentDecodingError)
    played = play({"chat": says(200, HELLO, [*STREAM, ("content-encoding", "br")])})
    played.caught(ContentDecodingError)


def test_what_was_said_in_a_try_that_broke_is_not_kept_for_the_next() -> None:
    first = replies(b"[CHAT_TITLE:lost][LIMIT_CONVERSATION]", body_of(503, None))
    played = play({"chat": [first, replies(piece("Hi"), b"[DONE]")]})
    conversation = played.hand.session.conversation
    assert (conversation.title, conversation.limit_reached) == (None, False)
    assert played.finished.text == "Hi"


# Section 6: a turn is a transaction


def turned() -> Hand:
    """A session after a turn that was done."""
    hand = Hand()
    hand.to_chat()
    pair = [("x-vqd-4", "4-2"), ("x-vqd-hash-1", "e30=")]
    hand.answer(200, [*STREAM, *pair], HELLO + b"data: [CHAT_TITLE:The sky]\n\n" + DONE)
    assert hand.pull() is PAUSED
    return hand


@each_of("end", ["fails", "is cancelled", "is closed"])
def test_a_turn_that_is_not_done_takes_the_token_that_it_sent_and_changes_nothing_else(end: str) -> None:
    hand = turned()
    before = hand.session.conversation
    assert (before.vqd, before.vqd_hash_1, before.title) == ("4-2", "e30=", "The sky")
    hand.session.ask("More", model="o3-mini", now=hand.now)
    request = hand.request_for("/chat")
    hand.session.receive_head(request, 200, [*STREAM, ("x-vqd-4", "4-3"), ("set-cookie", "new=1")], now=hand.now)
    hand.session.receive_data(request, HELLO + b"data: [CHAT_TITLE:Lost][LIMIT_CONVERSATION]\n\n")
    assert hand.pull() is NEED_DATA
    if end == "fails":
        hand.fail(FailureKind.CUT)
        with pytest.raises(IncompleteStream):
            hand.pull()
    elif end == "is cancelled":
        hand.session.cancel()
    else:
        hand.session.close()
    assert hand.session.conversation == msgspec.structs.replace(before, vqd="", vqd_hash_1="")


def test_a_turn_that_is_given_up_before_its_question_was_sent_keeps_the_token() -> None:
    hand = turned()
    before = hand.session.conversation
    hand.session.ask("More", now=hand.now)
    while not isinstance(hand.session.next_action(now=hand.now), Wait):
        pass
    hand.session.cancel()
    assert hand.session.conversation == before
    hand.session.ask("More", now=hand.now)
    assert dict(hand.request_for("/chat").headers)["x-vqd-4"] == "4-2"


def test_who_asks_while_the_rest_of_a_reply_is_read_wants_no_more_of_it() -> None:
    hand = Hand()
    before = hand.to_chat()
    hand.session.receive_head(before, 200, STREAM, now=hand.now)
    hand.session.receive_data(before, HELLO + DONE)
    assert hand.pull() is NEED_DATA
    assert hand.session.request == before
    hand.session.ask("More", now=hand.now)
    assert hand.session.deadline == hand.now + 180  # the new turn's own
    hand.session.receive_data(before, b": late\n")
    hand.request_for("/status")


def test_a_title_stays_until_another_comes() -> None:
    hand = turned()
    for end, title in ((DONE, "The sky"), (b"data: [CHAT_TITLE:Dusk]\n\n" + DONE, "Dusk")):
        hand.session.ask("More", now=hand.now)
        request = hand.pull()
        assert isinstance(request, SendRequest)
        if request.url.endswith("/status"):
            hand.answer(headers=[("x-vqd-4", "4-3")])
            hand.request_for("/chat")
        hand.answer(200, STREAM, HELLO + end)
        assert hand.pull() is PAUSED
        assert hand.session.conversation.title == title


def test_who_never_answers_does_not_where_the_conversation_says_that_answers_are_asked_for_either() -> None:
    conversation = Conversation(vqd="4-1", vqd_hash_1="e30=", fe_version="a-b", answers_wanted=True)
    played = play({}, session=Session(conversation=conversation, answer_challenge="never"))
    assert played.finished.text == "Hello"
    assert played.last_sent["x-vqd-hash-1"] == ""


def test_header_names_are_known_in_any_case() -> None:
    chat = says(200, HELLO, [("Content-TYPE", "text/event-stream"), ("Content-Length", "999"), ("X-VQD-4", "4-2")])
    played = play(
        {
            "aichat": says(200, headers=[("SET-Cookie", "seen=1; path=/")]),
            "status": [says(503, headers=[("Retry-After", "9")]), says(200, headers=[("X-Vqd-4", "4-1")])],
            "chat": chat,
        }
    )
    played.caught(IncompleteStream)
    assert played.retries == [(1, 9.0)]
    assert played.last_sent["x-vqd-4"] == "4-1"
    assert "seen=1" in played.last_sent["cookie"]


# Failures of the driver's: (kind, exception, whether the status request, and the question, are tried again)

KINDS = [
    (FailureKind.NOT_SENT, TransportError, True, True),
    (FailureKind.CUT, TransportError, True, False),
    (FailureKind.TIMEOUT, ChatTimeoutError, True, False),
    (FailureKind.TLS, TransportError, False, False),
    (FailureKind.INTERRUPTED, TransportError, False, False),
    (FailureKind.OTHER, TransportError, True, False),
]


@each_of("kind, exception, status, chat", KINDS)
def test_a_failure_of_each_kind(kind: FailureKind, exception: type[DuckChatError], status: bool, chat: bool) -> None:
    played = play({"status": breaks(kind)})
    error = played.caught(exception)
    assert "it broke" in str(error)
    assert played.paths.count("status") == (4 if status else 1)
    played = play({"chat": breaks(kind)})
    played.caught(exception)
    assert played.paths == ["page", "aichat", "status", *["chat"] * (4 if chat else 1)]


@each_of("kind, exception, status, chat", KINDS)
def test_a_question_that_may_have_been_processed_is_sent_again_where_the_profile_says_so(
    kind: FailureKind, exception: type[DuckChatError], status: bool, chat: bool
) -> None:
    profile = DUCKDUCKGO_2025_04.at(DUCKDUCKGO_2025_04.origin, chat_is_repeatable=True)
    played = play({"chat": breaks(kind)}, session=Session(profile, jitter=lambda: 0.0))
    played.caught(exception)
    assert played.paths.count("chat") == (4 if status else 1)
    # With fresh tokens: those that were sent are spent.
    assert played.paths.count("status") == (4 if status and not chat else 1)


@each_of("repeatable", [False, True])
def test_a_reply_that_is_cut_before_its_first_piece_is_incomplete(repeatable: bool) -> None:
    def cut(hand: Hand) -> None:
        assert hand.request is not None
        hand.session.receive_head(hand.request, 200, STREAM, now=hand.now)
        hand.session.receive_data(hand.request, b"data: [PING]\n\n")
        hand.fail(FailureKind.CUT)

    profile = DUCKDUCKGO_2025_04.at(DUCKDUCKGO_2025_04.origin, chat_is_repeatable=repeatable)
    played = play({"chat": cut}, session=Session(profile))
    played.caught(IncompleteStream)
    assert played.paths.count("chat") == (4 if repeatable else 1)


def test_a_refusal_whose_body_is_cut_is_that_refusal() -> None:
    def cut(hand: Hand) -> None:
        assert hand.request is not None
        hand.session.receive_head(hand.request, 403, (), now=hand.now)
        hand.session.receive_data(hand.request, b"<html>")
        hand.fail(FailureKind.CUT)

    error = play({"chat": cut}).caught(AccessDeniedError)
    assert isinstance(error, ServiceError)
    assert error.body == b"<html>"


def test_a_refusal_whose_body_never_ends_is_that_refusal_when_the_time_is_up() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 403, (), now=hand.now)
    assert hand.pull() is NEED_DATA
    hand.now += 30
    with pytest.raises(AccessDeniedError):
        hand.pull()


@each_of("path", ["duckai=1", "/aichat", "/status", "/chat"])
@each_of("after_head", [False, True])
def test_an_interrupted_exchange_ends_the_turn_whatever_it_was_for(path: str, after_head: bool) -> None:
    hand = Hand()
    request = to_request(hand, path)
    if after_head:
        hand.session.receive_head(request, 503, (), now=hand.now)
    hand.fail(FailureKind.INTERRUPTED)
    with pytest.raises(TransportError) as caught:
        hand.pull()
    assert caught.value.failure == Failure(FailureKind.INTERRUPTED, "it broke")


def test_a_token_that_went_out_before_a_redirect_is_spent_though_the_next_place_could_not_be_reached() -> None:
    hand = Hand()
    hand.to_chat()
    hand.answer(308, [("location", "https://duck.ai/duckchat/v1/chat")])
    hand.request_for("/chat")
    hand.fail(FailureKind.NOT_SENT)
    hand.request_for("/status")


def test_a_redirected_question_keeps_its_token_and_the_answer_that_belongs_to_it() -> None:
    hand = Hand(Session(solver="embedder", answer_challenge="always"))
    hand.session.ask("Hi", now=0)
    for path in ("duckai=1", "/aichat"):
        hand.request_for(path)
        hand.answer(body=PAGE)
    hand.request_for("/status")
    hand.answer(headers=[("x-vqd-4", "4-1"), ("x-vqd-hash-1", "e30=")])
    solve = hand.pull()
    assert isinstance(solve, SolveChallenge)
    hand.session.challenge_solved(solve, "YW5zd2Vy")
    first = hand.request_for("/chat")
    hand.answer(307, [("location", "https://duck.ai/duckchat/v1/chat"), ("x-vqd-4", "4-2"), ("x-vqd-hash-1", "e31=")])
    moved = hand.request_for("/chat")
    for name in ("x-vqd-4", "x-vqd-hash-1"):
        assert dict(moved.headers)[name] == dict(first.headers)[name]


def test_a_failure_that_is_reported_late_is_dropped() -> None:
    hand = Hand()
    old = hand.to_chat()
    hand.session.cancel()
    hand.session.transport_failed(old, Failure(FailureKind.CUT, "late"))
    hand.pull()
    hand.session.ask("Hi", now=hand.now)
    hand.session.transport_failed(old, Failure(FailureKind.CUT, "late"))
    hand.request_for("/status")


# Nothing that is documented is never seen


def test_every_event_and_every_intent_is_seen_by_a_caller() -> None:
    words = b"[PING][CHAT_TITLE:x][STOP_REASON:y][LIMIT_ENTITY]"
    others = [
        b'{"role":"reasoning","text":"x","summaryText":["y"]}',
        b'{"role":"tool-invocation","state":"call","toolName":"GenerateImage"}',
        b'{"role":"tool-invocation","state":"result","toolName":"GenerateImage"}',
        b'{"role":"partial-image","result":"AQID"}',
        b'{"parts":[{"type":"generated-image","result":"AQID"},{"type":"x"}],"source":{"url":"x"}}',
        b'{"toolName":"GenerateImage","data":{"status":"error"}}',
        b'{"role":"refusal"}',
    ]
    everything = replies(piece("Hi"), words, *others, b'{"role":"tool"}', b"?", b"[DONE]")
    pair = [("x-vqd-4", "4-2"), ("x-vqd-hash-1", "e30=")]
    played = play(
        {
            "page": says(404),
            "aichat": says(404),
            "status": says(200, b'{"status":"1"}', pair),
            "chat": [says(503), says(418, body_of(418, "ERR_CHALLENGE"), pair), everything],
        },
        session=solving(),
    )
    hand = played.hand
    hand.session.ask("More", now=hand.now)
    hand.request_for("duckai=1")
    hand.session.cancel()
    assert hand.pull() is PAUSED
    other, queued = (Hand(Session(shared=hand.session.shared)) for _ in range(2))
    other.now = queued.now = hand.now
    for each in (other, queued):
        each.session.ask("Hi", now=hand.now)
    other.request_for("duckai=1")
    queued.request_for("duckai=1")  # after 10 s
    hand.events += queued.events
    listing = Hand(Session(LISTING))
    listing.session.fetch_models(now=0)
    listing.request_for("/models")
    listing.answer(body=b'{"models":[{"id":"m"}]}')
    assert listing.pull() is PAUSED
    hand.events += listing.events
    unfinished, recalled = Told().stored(sent=True).ask(), Told().on(Claim, DONE_BEFORE).ask(turn="t")
    unfinished.request_for("/aichat")
    assert recalled.pull() is PAUSED
    hand.events += [*unfinished.events, *recalled.events]
    assert {type(event) for event in hand.events} == set(get_args(Event))
    intents = (hand.request, *hand.waits, *played.solves, *recalled.intents)
    assert set(get_args(Intent)) == {type(action) for action in intents}


DONE_BEFORE = Done(reply=write_reply(TurnFinished("Since.", "stop", "o3-mini")), revision=1, document=b"")


def asked_to_store(result: Lost | Failure) -> None:
    hand = Told(session_of(lease=0.1)).on(Commit, result).ask()
    hand.handshake()
    hand.answer(200, STREAM, HELLO + DONE)
    hand.pull()


def never_given() -> SendRequest:
    return SendRequest(id=99, method="GET", url="https://duckduckgo.com/", headers=(), body=b"", timeout=1.0)


def asked_an_unreadable_challenge() -> None:
    play({"chat": says(418, body_of(418, "ERR_CHALLENGE"), [("x-vqd-4", "4-2"), ("x-vqd-hash-1", "e30=")])}).reraise()


def refused(status: int, kind: str | None) -> Callable[[], object]:
    return lambda: play({"chat": says(status, body_of(status, kind))}).reraise()


def answered(status: int, body: bytes, *headers: tuple[str, str]) -> Callable[[], object]:
    return lambda: play({"chat": says(status, body, headers)}).reraise()


STRICT = Session(policy=Policy(strict=True))
REQUIRING = DUCKDUCKGO_2025_04.at(DUCKDUCKGO_2025_04.origin, front_end_version_required=True)

#: What a user's program can meet, or do, that raises each exception.
CAUSES: dict[type[DuckChatError], Callable[[], object]] = {
    LocalProtocolError: lambda: Session().receive_eof(never_given()),
    MalformedEvent: lambda: play({"chat": replies(b"?")}, session=STRICT).reraise(),
    MalformedModelList: lambda: read_models("[]"),
    IncompleteStream: answered(200, b"data: {", *STREAM),
    EmptyResponseError: answered(200, DONE, *STREAM),
    StreamTooLarge: answered(200, b"data: " + b"x" * 2**20, *STREAM),
    InvalidToken: answered(200, DONE, *STREAM, ("x-vqd-4", "\n")),
    RedirectRefused: answered(302, b"", ("location", "/")),
    ContentDecodingError: answered(200, HELLO, *STREAM, ("content-encoding", "gzip")),
    FrontEndVersionMissing: lambda: play({"page": says(404)}, session=Session(REQUIRING)).reraise(),
    UnsupportedChallenge: asked_an_unreadable_challenge,
    ServiceError: refused(409, None),
    ChallengeError: refused(418, "ERR_CHALLENGE"),
    BadRequestError: refused(400, "ERR_BAD_REQUEST"),
    BlockedError: refused(418, "ERR_BN_LIMIT"),
    ConversationLimitError: refused(429, "ERR_CONVERSATION_LIMIT"),
    InputLimitError: refused(429, "ERR_INPUT_LIMIT"),
    OutputLimitError: refused(429, "ERR_OUTPUT_LIMIT"),
    UserLimitError: refused(429, "ERR_USER_LIMIT"),
    RateLimitError: refused(429, None),
    TokenError: refused(400, "ERR_INVALID_VQD"),
    ModelUnavailableError: refused(404, "ERR_MODEL_UNAVAILABLE"),
    AccessDeniedError: refused(403, None),
    ServiceUnavailableError: refused(503, None),
    HandshakeError: lambda: play({"status": says(200)}).reraise(),
    TransportError: lambda: play({"chat": breaks(FailureKind.OTHER)}).reraise(),
    ChatTimeoutError: lambda: play({"chat": breaks(FailureKind.TIMEOUT)}).reraise(),
    ModelNotSupportedError: lambda: Session(model="gpt-9"),
    ConversationFormatError: lambda: Conversation.from_json("{}"),
    EngineUnavailable: lambda: Told().on(Claim, DOWN).ask().pull(),
    ConversationBusy: lambda: Told().on(Claim, Busy(retry_after=1.0)).ask().pull(),
    PaceRefused: lambda: Told().on(Reserve, Refused(wait=9.0)).ask().pull(),
    TurnSuperseded: lambda: asked_to_store(Lost()),
    TurnNotStored: lambda: asked_to_store(DOWN),
}
GROUPS = {DuckChatError, RemoteProtocolError, CoordinationError}
"""Those that are never raised themselves."""
OF_DRIVERS = {ChatBusy, TurnAborted}
"""No session raises them: two at once use a chat, or close and read one reply (tests/drivers)."""


def test_every_exception_has_a_cause_here() -> None:
    tree = {item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, DuckChatError)}
    assert set(CAUSES) == tree - GROUPS - OF_DRIVERS


@each_of("exception", CAUSES)
def test_every_exception_is_raised_by_what_a_users_program_can_meet(exception: type[DuckChatError]) -> None:
    with pytest.raises(exception) as caught:
        CAUSES[exception]()
    assert type(caught.value) is exception
    assert str(caught.value)


def test_half_a_character_at_the_end_of_a_body_without_done_is_given_before_the_turn_is_done() -> None:
    hand = Hand()
    request = hand.to_chat()
    hand.session.receive_head(request, 200, STREAM, now=hand.now)
    hand.session.receive_data(request, HELLO + b'data: {"action":"success","message":"\\ud83d"}\n\n')
    hand.session.receive_eof(request)
    hand.pull()
    assert hand.events[-2] == TextDelta("\ufffd")
    assert isinstance(hand.events[-1], TurnFinished)
