"""Whatever goes wrong, `ddg-chat` says what to do in one sentence, and ends with the exit code that help has for it."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from support.paths import TRANSCRIPTS

from ddg_chat import _errors
from ddg_chat.main import EXIT_CODES, main
from ddg_protocol import errors
from ddg_protocol.service import Service
from ddg_protocol.service.script import fault_from_text
from ddg_transports.emulator import Emulator


class Case(NamedTuple):
    kind: type[errors.DuckChatError]
    code: int
    advice: str
    faults: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    shown: bool = False  # whether a part of the reply comes before


#: A challenge of a later form, as much of it as is looked at.
OBFUSCATED = base64.b64encode(b"(function(){const _0x1f=['a'];return {meta:{v:'4'}}})()").decode()

TABLE = [  # PROTOCOL.md section 7, row by row
    Case(errors.ChallengeError, 77, "try again later", ("chat:418,type=ERR_CHALLENGE,tokens",)),
    Case(errors.BlockedError, 77, "only time helps", ("chat:418,type=ERR_BN_LIMIT",)),
    Case(errors.ConversationLimitError, 65, "begin a new one", ("chat:429,type=ERR_CONVERSATION_LIMIT",)),
    Case(errors.InputLimitError, 65, "shorten it", ("chat:429,type=ERR_INPUT_LIMIT",)),
    Case(errors.UserLimitError, 75, "wait until it is renewed", ("chat:429,type=ERR_USER_LIMIT",)),
    *(
        Case(errors.RateLimitError, 75, "try again later", (f"chat:429{more}",))
        for more in (",type=ERR_SERVICE_UNAVAILABLE", ",type=ERR_RATE_LIMIT", ",type=ERR_RATELIMIT", ",body=<html>", "")
    ),
    Case(errors.RateLimitError, 75, "come back in 90 s", ("chat:429,retry-after=90",)),
    Case(errors.TokenError, 75, "ask again", ("chat:400,type=ERR_INVALID_VQD",)),
    Case(errors.TokenError, 75, "ask again", ("chat:400,type=ERR_EXPIRED_VQD",)),
    Case(
        errors.ModelUnavailableError, 69, "ddg-chat models lists the models", ("chat:404,type=ERR_MODEL_UNAVAILABLE",)
    ),
    Case(errors.ModelUnavailableError, 69, "ddg-chat models lists the models", ("chat:404,type=ERR_MODEL_RESTRICTED",)),
    *(Case(errors.AccessDeniedError, 77, "asking again won't help", (f"chat:{status}",)) for status in (401, 402, 403)),
    Case(errors.AccessDeniedError, 77, "only a browser passes it", ("chat:403,body=<title>Just a moment...</title>",)),
    *(
        Case(errors.ServiceUnavailableError, 69, "try again later", (f"chat:{status}",))
        for status in (500, 502, 503, 504, *range(520, 527))
    ),
    *(
        Case(errors.BadRequestError, 1, "ddg-chat models lists the models", (f"chat:{refusal}",))
        for refusal in ("400,type=ERR_BAD_REQUEST", "400,type=ERR_INVALID_INPUT", "410,type=ERR_ENDPOINT_DEPRECATED")
    ),
    Case(errors.OutputLimitError, 65, "ask for a shorter one", ("chat:200,type=ERR_OUTPUT_LIMIT",)),
    Case(errors.UserLimitError, 75, "ask for text", ("chat:429,type=ERR_IMAGE_GENERATION_LIMIT",)),
    Case(errors.UserLimitError, 75, "wait until", (r"chat:body=data: [DONE][LIMIT_ACCOUNT]%0A%0A",)),
    Case(errors.ChallengeError, 77, "in a browser", (r'chat:418,body={"type":"ERR_CHALLENGE"%2C"cd":{"p":"1"}}',)),
    Case(errors.ServiceUnavailableError, 69, "try again later", (r'chat:event={"type":"ERR_UPSTREAM"}',)),
    Case(errors.ServiceError, 1, "--record FILE", ("chat:410,type=ERR_NEW",)),
    Case(errors.ServiceError, 1, "--record FILE", ("chat:header=content-type,value=text/html",)),
    # The same inside the stream, before a piece of the reply and after one.
    Case(
        errors.BlockedError,
        77,
        "only time helps",
        (r'chat:event={"status":418%2C"type":"ERR_BN_LIMIT"%2C"action":"error"}',),
    ),
    Case(
        errors.UserLimitError,
        75,
        "is renewed",
        (r'chat:event={"status":429%2C"type":"ERR_USER_LIMIT"%2C"action":"error"},after=3',),
        shown=True,
    ),
]

OTHERS = [
    Case(errors.MalformedEvent, 76, "--record FILE", ("chat:event=garbage",), ("--strict",)),
    Case(errors.IncompleteStream, 76, "ask again", ("chat:cut=500",), shown=True),
    Case(errors.IncompleteStream, 76, "ask again", ("chat:cut=500,then=reset",), shown=True),
    Case(errors.EmptyResponseError, 76, "ask again", ("chat:body=",)),
    Case(errors.StreamTooLarge, 76, "--record FILE", ("chat:body=data: ,endless=x",)),
    Case(errors.InvalidToken, 76, "--record FILE", ("status:header=x-vqd-4,value=a b",)),
    Case(errors.RedirectRefused, 76, "--record FILE", ("status:redirect=https://example.org/",)),
    Case(errors.ContentDecodingError, 76, "--record FILE", ("chat:header=content-encoding,value=gzip",)),
    Case(
        errors.UnsupportedChallenge,
        77,
        "ddg-chat explain",
        (f"chat:418,type=ERR_CHALLENGE,tokens,header=x-vqd-hash-1,value={OBFUSCATED}",),
    ),
    Case(errors.HandshakeError, 69, "try again later", ("status:header=x-vqd-4",)),
    Case(errors.TransportError, 69, "check the address, the network and the proxy", ("chat:cut,of=wire",)),
    Case(
        errors.TransportError,
        69,
        "check the address, the network and the proxy",
        ("status:insert=garbage%0D%0A,of=wire",),
    ),
    Case(errors.ChatTimeoutError, 75, "--timeout", ("chat:cut=0,then=hang",), ("--timeout", "0.5")),
    Case(errors.ModelNotSupportedError, 2, "the models are: gpt-4o-mini", (), ("--model", "gpt-17")),
]


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What the command line turns into sentences."""
    seen: list[Exception] = []
    known = _errors.exit_code

    def look(error: Exception) -> int:
        seen.append(error)
        return known(error)

    monkeypatch.setattr(_errors, "exit_code", look)
    return seen


def assert_one_sentence(err: str) -> None:
    assert re.fullmatch(r"ddg-chat: [^\x00-\x1f\x7f-\x9f]{10,400}\n", err)
    assert "Traceback" not in err
    assert not re.search(r"Policy|Session|answer_challenge|_timeout|\w\(\)", err), (
        "it speaks of what the user has not called"
    )


@pytest.mark.parametrize(
    "case", [*TABLE, *OTHERS], ids=lambda case: f"{case.kind.__name__}-{' '.join(case.faults)[:40]}"
)
def test_an_error_is_one_sentence_that_says_what_to_do(
    case: Case, raised: list[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [word for fault in case.faults for word in ("--fault", fault)]
    assert main(["ask", "Why?", "--emulator", "--retries", "0", *faults, *case.options]) == case.code
    out, err = capsys.readouterr()
    assert [type(error) for error in raised] == [case.kind]
    assert_one_sentence(err)
    assert case.advice in err
    assert bool(out) == case.shown, "only what came of a reply is on standard output"


def test_a_front_end_version_that_is_required_and_missing(
    tmp_path: Path, raised: list[Exception], capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "profile.toml"
    profile.write_text("front_end_version_required = true\n")
    assert main(["ask", "Why?", "--emulator", "--fault", "front_end:404", "--profile", str(profile)]) == 76
    out, err = capsys.readouterr()
    assert [type(error) for error in raised] == [errors.FrontEndVersionMissing]
    assert_one_sentence(err)
    assert out == ""


@pytest.mark.usefixtures("waits")  # for the pace, which https has here too
def test_a_certificate_that_nobody_vouches_for_until_its_authority_is_named(
    raised: list[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with Emulator(tls=True) as emulator:
        assert main(["ask", "Why?", "--base-url", emulator.url]) == 69
        out, err = capsys.readouterr()
        assert [type(error) for error in raised] == [errors.TransportError]
        assert_one_sentence(err)
        assert "certificate" in err
        assert "SSL_CERT_FILE" in err
        assert out == ""
        authority = tmp_path / "ca.pem"
        authority.write_text(emulator.ca_pem)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        assert main(["ask", "Why?", "--base-url", emulator.url]) == 0
        assert "Why?" in capsys.readouterr().out


def test_a_stored_run_that_can_t_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.jsonl"
    file.write_text('{"no": "transcript"}\n')
    good = str(TRANSCRIPTS / "two-turns.jsonl")
    for command in (["replay"], ["inspect"], ["inspect", good], ["emulate", "--transcript"]):
        assert main([*command, str(file)]) == 65
        out, err = capsys.readouterr()
        assert_one_sentence(err)
        assert err.startswith(f"ddg-chat: {file}: line 1: Object missing required field")
        assert err.endswith("; transcripts are written by --record FILE\n")
        assert out == ""


def test_no_error_of_the_library_is_left_out() -> None:
    elsewhere = {
        errors.MalformedModelList,  # of `ddg-chat models --live`
        errors.LocalProtocolError,
        errors.FrontEndVersionMissing,
        errors.ConversationFormatError,
        errors.EngineUnavailable,
        errors.ConversationBusy,
        errors.PaceRefused,
        errors.TurnSuperseded,
        errors.TurnNotStored,
    }
    of_two_at_once = {errors.ChatBusy, errors.TurnAborted}  # which the command line never is
    roots = {errors.DuckChatError, errors.RemoteProtocolError, errors.CoordinationError}
    found = [errors.DuckChatError]
    for kind in found:
        found.extend(kind.__subclasses__())
    assert {case.kind for case in (*TABLE, *OTHERS)} | elsewhere | of_two_at_once | roots == {
        kind for kind in found if kind.__module__ == errors.__name__
    }


@pytest.mark.parametrize("code", sorted({case.code for case in (*TABLE, *OTHERS)}))
def test_help_has_each_code(code: int) -> None:
    assert re.search(rf"^  {code} ", EXIT_CODES, re.MULTILINE)


RESETS = r'{"type":"ERR_USER_LIMIT"%2C"fixedCostWindowUsage":{"windows":[{"resetAt":"\u001b[2J\u009b"}]}}'
NASTY = "%1B[31m%C2%9B2J%07%0A%E2%80%AE"


@pytest.mark.parametrize(
    "fault",
    [
        f"chat:429,type=ERR_{NASTY}",
        f"chat:429,type=ERR_USER_LIMIT,body={RESETS}",
        f"chat:404,type=ERR_MODEL_UNAVAILABLE{NASTY}",
        f"chat:503,body={NASTY}",
        f"status:redirect=https://example.org/{NASTY.replace('%0A', '')}",
        f"chat:header=content-encoding,value={NASTY.replace('%0A', '').replace('%07', '').replace('%1B', '')}",
        f"status:insert={NASTY},of=wire",
        f"chat:event={NASTY}",
    ],
)
def test_no_control_sequence_of_the_service_is_in_a_sentence(fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Why?", "--emulator", "--retries", "0", "--strict", "--fault", fault]) != 0
    out, err = capsys.readouterr()
    assert_one_sentence(err)
    assert "\u202e" not in err
    assert out == ""


# Nobody answers


def gone() -> str:
    with Emulator() as emulator:
        return emulator.url


@pytest.mark.parametrize(("options", "tries"), [((), 2), (("--retries", "0"), 1), (("--retries", "3"), 4)])
def test_an_address_where_nobody_listens_is_tried_once_more_unless_said_otherwise(
    options: tuple[str, ...], tries: int, waits: list[float]
) -> None:
    assert main(["ask", "Why?", "--base-url", gone(), *options]) == 69
    assert len([seconds for seconds in waits if seconds > 1]) == tries - 1


@pytest.mark.usefixtures("waits")
def test_a_service_that_is_busy_is_tried_as_often_as_the_protocol_has_it() -> None:
    busy = [fault_from_text("chat:503,times=3")]
    with Emulator(Service(script=busy)) as emulator:
        assert main(["ask", "Why?", "--base-url", emulator.url]) == 0
        assert [exchange.status for exchange in emulator.service.log if exchange.endpoint == "chat"] == [503] * 3 + [
            200
        ]
