"""The script of faults by itself: what each effect makes of a response, when, and how it is written. No I/O."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol.content import ContentDecoder
from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04
from ddg_protocol.service import Fault, Piece, Service, ServiceRequest, ServiceResponse, framed
from ddg_protocol.service.faults import (
    Body,
    Coding,
    Cut,
    Done,
    Drip,
    Effect,
    Endless,
    Event,
    Header,
    Insert,
    Redirect,
    Refuse,
    Split,
    StreamEffect,
)
from ddg_protocol.service.script import fault_from_text, script_from_toml

NOW = 1_743_500_000.0
UA = DUCKDUCKGO_2025_04.identity.user_agent
FIELDS = {
    "user-agent": UA,
    "accept": "text/event-stream, text/html",
    "cache-control": "no-cache",
    "pragma": "no-cache",
    "content-type": "application/json",
    "origin": "https://duckduckgo.com",
    "referer": "https://duckduckgo.com/",
    "x-vqd-accept": "1",
    "x-fe-version": "",
    "x-vqd-hash-1": "",
}


def get(service: Service, target: str = "/aichat", **more: str) -> ServiceResponse:
    return service.handle(ServiceRequest("GET", target, tuple((FIELDS | more).items())), now=NOW)


def ask(service: Service, *contents: str, token: str | None = None) -> ServiceResponse:
    if token is None:
        token = field(get(service, "/duckchat/v1/status"), "x-vqd-4")
    messages = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents)]
    body = json.dumps({"model": "o3-mini", "messages": messages}).encode()
    fields = tuple((FIELDS | {"x-vqd-4": token}).items())
    return service.handle(ServiceRequest("POST", "/duckchat/v1/chat", fields, body), now=NOW)


def service_with(on: Any, *effects: Effect, **when: Any) -> Service:
    script = [Fault(on, effects, **when)] if effects else []
    return Service(strict=True, script=script, responder=lambda question: "one two")


def landing(*effects: Effect) -> ServiceResponse:
    return get(service_with("landing", *effects))


def reply(*effects: Effect) -> ServiceResponse:
    return ask(service_with("chat", *effects), "?")


def field(response: ServiceResponse, name: str) -> str:
    [value] = [value for key, value in response.headers if key == name]
    return value


def names(response: ServiceResponse) -> list[str]:
    return [name for name, _ in response.headers]


def body_of(response: ServiceResponse) -> bytes:
    return b"".join(piece.data for piece in response.pieces)


def wire_of(response: ServiceResponse, **how: Any) -> bytes:
    return b"".join(piece.data for piece in framed(response, **how))


def stream(*data: bytes) -> Iterator[Piece]:
    return map(Piece, data)


def bytes_of(pieces: Iterator[Piece]) -> list[bytes]:
    return [piece.data for piece in pieces]


class TestWhen:
    def statuses(self, service: Service, requests: int = 6) -> list[int]:
        return [get(service).status for _ in range(requests)]

    def test_a_fault_is_for_every_request_to_its_endpoint_and_no_other(self) -> None:
        service = service_with("landing", Refuse(503))
        assert self.statuses(service) == [503] * 6
        assert get(service, "/duckchat/v1/status").status == 200
        assert get(service, "/elsewhere").status == 404

    @pytest.mark.parametrize(
        ("when", "statuses"),
        [
            ({"times": 1}, [503, 200, 200, 200, 200, 200]),
            ({"times": 3}, [503, 503, 503, 200, 200, 200]),
            ({"first": 3}, [200, 200, 503, 503, 503, 503]),
            ({"first": 3, "times": 2}, [200, 200, 503, 503, 200, 200]),
        ],
    )
    def test_it_may_begin_later_and_end(self, when: dict[str, int], statuses: list[int]) -> None:
        assert self.statuses(service_with("landing", Refuse(503), **when)) == statuses

    def test_several_for_one_request_follow_each_other(self) -> None:
        script = [Fault("landing", [Refuse(503)]), Fault("landing", [Refuse(500)], first=2, times=1)]
        service = Service(script=script)
        assert self.statuses(service, 3) == [503, 500, 503]
        assert [line.faults for line in service.log] == [(script[0],), (script[0], script[1]), (script[0],)]

    def test_more_may_go_wrong_from_now_on(self) -> None:
        service = service_with("landing", Refuse(503), first=4)
        assert self.statuses(service, 2) == [200, 200]
        service.add_fault(Fault("landing", [Refuse(500)], first=2, times=1))
        service.add_fault(Fault("landing", [Refuse(502)], times=1))
        assert self.statuses(service, 4) == [502, 500, 503, 503]

    def test_it_says_which_faults_no_request_has_met(self) -> None:
        met, late, elsewhere = (
            Fault("landing", [Refuse(503)]),
            Fault("landing", [Refuse(503)], first=2),
            Fault("chat", [Refuse(429)]),
        )
        service = Service(script=[met, late, elsewhere])
        assert list(service.unmet_faults) == [met, late, elsewhere]
        get(service)
        assert list(service.unmet_faults) == [late, elsewhere]
        service.add_fault(met)
        assert list(service.unmet_faults) == [late, elsewhere, met]

    def test_the_log_tells_what_the_script_did_from_what_the_client_did_wrong(self) -> None:
        service = service_with("landing", Refuse(429, "ERR_RATE_LIMIT"))
        get(service)
        get(service, accept="image/png")
        right, wrong = service.log
        assert (right.status, right.error, right.reason) == (429, "ERR_RATE_LIMIT", "")
        assert (wrong.status, wrong.error, wrong.reason) == (429, "ERR_RATE_LIMIT", "accept must be text/html")


class TestInPlaceOfTheAnswer:
    def test_a_refusal_has_the_documented_body_and_spends_the_token(self) -> None:
        service = service_with("chat", Refuse(429, "ERR_RATE_LIMIT", retry_after=2), times=1)
        token = field(get(service, "/duckchat/v1/status"), "x-vqd-4")
        response = ask(service, "?", token=token)
        assert response.status == 429
        assert json.loads(body_of(response)) == {"action": "error", "status": 429, "type": "ERR_RATE_LIMIT"}
        assert field(response, "retry-after") == "2"
        assert field(response, "content-type") == "application/json"
        assert "x-vqd-4" not in names(response)
        assert ask(service, "?", token=token).status == 400

    def test_a_refusal_without_a_word_has_none_and_may_bring_tokens(self) -> None:
        service = service_with("chat", Refuse(418, tokens=True), times=1)
        response = ask(service, "?")
        assert json.loads(body_of(response)) == {"action": "error", "status": 418}
        assert ask(service, "?", token=field(response, "x-vqd-4")).status == 200

    def test_a_refused_question_is_not_put_to_the_responder(self) -> None:
        asked: list[str] = []

        def responder(question: Any) -> str:
            asked.append(question.text)
            return "reply"

        service = Service(script=[Fault("chat", [Refuse(429)], times=1)], responder=responder)
        ask(service, "first")
        body_of(ask(service, "second"))
        assert asked == ["second"]

    def test_a_redirect_leads_to_the_same_place_and_the_service_sees_nothing_of_it(self) -> None:
        service = service_with("chat", Redirect(), times=1)
        token = field(get(service, "/duckchat/v1/status"), "x-vqd-4")
        response = ask(service, "?", token=token)
        assert (response.status, field(response, "location")) == (307, "/duckchat/v1/chat")
        assert ask(service, "?", token=token).status == 200, "the token was not spent"

    def test_a_redirect_leads_elsewhere(self) -> None:
        response = landing(Redirect("https://example.org/\udcff", 301))
        assert (response.status, field(response, "location")) == (301, "https://example.org/\xff")


class TestTheHead:
    def test_a_field_is_set_in_place_of_all_of_its_name(self) -> None:
        response = landing(Header("Set-Cookie", "only=1"))
        assert [value for name, value in response.headers if name.lower() == "set-cookie"] == ["only=1"]

    def test_a_field_is_taken_away(self) -> None:
        assert "x-vqd-4" not in names(get(service_with("status", Header("x-vqd-4")), "/duckchat/v1/status"))

    def test_a_field_is_sent_to_the_byte(self) -> None:
        response = landing(Header("x", "a\r\nset-cookie: b\0\udcff\xe4"))
        assert field(response, "x") == "a\r\nset-cookie: b\0\xff\xc3\xa4"
        assert b"\r\nx: a\r\nset-cookie: b\0\xff\xc3\xa4\r\n" in wire_of(response)

    def test_a_length_of_one_s_own_is_kept_and_the_body_sent_as_it_is(self) -> None:
        response = landing(Body("12345"), Header("content-length", "3"))
        assert wire_of(response).endswith(b"content-length: 3\r\n\r\n12345")


class TestTheBody:
    def test_another_body_has_its_own_length(self) -> None:
        response = landing(Body("Größe \udcff"))
        assert body_of(response) == b"Gr\xc3\xb6\xc3\x9fe \xff"
        assert field(response, "content-length") == "9"

    @pytest.mark.parametrize(("after", "place"), [(0, 0), (2, 2), (5, 5), (100, 5)])
    def test_an_event_comes_after_so_many(self, after: int, place: int) -> None:
        events = body_of(reply(Event("[PING]", after))).split(b"\n\n")
        assert events[place] == b"data: [PING]"
        assert len(events) == 7

    def test_the_end_is_another_or_none(self) -> None:
        assert body_of(reply(Done("[DONE][LIMIT_ENTITY]"))).endswith(b"}\n\ndata: [DONE][LIMIT_ENTITY]\n\n")
        assert body_of(reply(Done())).endswith(b"}\n\n")

    @given(data=st.lists(st.binary(max_size=5)), at=st.integers(0, 20))
    @settings(deadline=None)
    def test_inserted_text_comes_after_so_many_bytes(self, data: list[bytes], at: int) -> None:
        whole = b"".join(data)
        got = b"".join(bytes_of(Insert("<>", at).over(stream(*data))))
        assert got == (whole[:at] + b"<>" + whole[at:] if data and at <= len(whole) else whole)

    def test_an_endless_body_is_made_as_it_is_taken(self) -> None:
        pieces = landing(Body("a: "), Endless("xy")).pieces
        assert next(pieces).data == b"a: "
        assert all(set(piece.data) == set(b"xy") and len(piece.data) < 70_000 for piece in islice(pieces, 100))

    @pytest.mark.parametrize("name", ["gzip", "deflate"])
    @given(data=st.lists(st.binary(max_size=50)))
    @settings(deadline=None)
    def test_what_is_compressed_is_the_same_and_readable_piece_by_piece(self, name: Any, data: list[bytes]) -> None:
        decoder = ContentDecoder(name)
        pieces = Coding(name).over(stream(*data))
        for part in data:
            assert b"".join(decoder.decode(next(pieces).data)) == part
        for piece in pieces:
            assert not b"".join(decoder.decode(piece.data))
        decoder.end()

    def test_a_compressed_body_says_so_and_has_no_length(self) -> None:
        response = landing(Coding("gzip"))
        assert field(response, "content-encoding") == "gzip"
        assert "content-length" not in names(response)
        assert b"Duck.ai" in zlib.decompress(body_of(response), wbits=31)

    def test_what_is_compressed_already_stays_as_it_is(self) -> None:
        response = landing(Coding("gzip"), Coding("deflate"))
        assert field(response, "content-encoding") == "gzip"
        assert b"Duck.ai" in zlib.decompress(body_of(response), wbits=31)
        response = landing(Coding("gzip"), Body("x"), Coding("deflate"))
        assert field(response, "content-encoding") == "deflate"
        assert zlib.decompress(body_of(response)) == b"x"

    def test_a_bomb_costs_little_to_make(self) -> None:
        compressed = b"".join(piece.data for piece in islice(landing(Body(), Endless(), Coding()).pieces, 200))
        assert len(zlib.decompressobj(wbits=31).decompress(compressed)) > 500 * len(compressed)


class TestTheWay:
    @given(data=st.lists(st.binary(max_size=20)), sizes=st.lists(st.integers(1, 7), min_size=1))
    @settings(deadline=None)
    def test_split_bytes_are_the_same_and_cut_where_it_says(self, data: list[bytes], sizes: list[int]) -> None:
        pieces = bytes_of(Split(tuple(sizes)).over(stream(*data)))
        assert b"".join(pieces) == b"".join(data)
        ends = {sum(map(len, pieces[:count])) for count in range(len(pieces) + 1)}
        wanted = [*sizes, *[sizes[-1]] * len(b"".join(data))]
        cuts = {sum(wanted[:count]) for count in range(len(wanted))}
        assert {cut for cut in cuts if cut < sum(map(len, data))} <= ends
        assert {sum(map(len, data[:count])) for count in range(len(data) + 1)} <= ends

    def test_a_piece_that_is_split_waits_once(self) -> None:
        pieces = list(Split((2,)).over(iter([Piece(b"abc", 0.5, "hang")])))
        assert pieces == [Piece(b"ab", 0.5), Piece(b"c", 0.0, "hang")]

    def test_each_piece_comes_later(self) -> None:
        pieces = reply(Drip(0.5), Drip(0.25)).pieces
        assert {piece.delay for piece in pieces} == {0.75}

    @given(
        data=st.lists(st.binary(max_size=5)), at=st.integers(0, 20), then=st.sampled_from(["close", "reset", "hang"])
    )
    @settings(deadline=None)
    def test_a_cut_lets_so_many_bytes_through(self, then: Any, data: list[bytes], at: int) -> None:
        whole = b"".join(data)
        pieces = list(Cut(at, then).over(stream(*data)))
        assert b"".join(piece.data for piece in pieces) == whole[:at]
        ends = [piece.then for piece in pieces]
        assert ends == (["more"] * (len(ends) - 1) + [then] if at <= len(whole) else ["more"] * len(data))

    def test_a_cut_makes_no_more_than_it_lets_through(self) -> None:
        def endless() -> Iterator[Piece]:
            yield Piece(b"abc")
            raise AssertionError("one more was asked for")

        assert bytes_of(Cut(3).over(endless())) == [b"abc"]

    def test_a_cut_keeps_the_length_that_was_announced_but_a_good_end_does_not(self) -> None:
        assert int(field(landing(Cut(3)), "content-length")) > 3
        assert wire_of(landing(Cut(3, "end"))).endswith(b"\r\n\r\n3\r\n<!D\r\n0\r\n\r\n")

    @pytest.mark.parametrize(
        ("cut", "unanswered"),
        [
            (Cut(0, "close", "wire"), "close"),
            (Cut(40, "hang", "wire"), "hang"),
            (Cut(10_000, "reset", "wire"), "more"),
            (Cut(0, "reset"), "more"),
        ],
    )
    def test_who_has_no_bytes_learns_that_no_head_comes(self, cut: Cut, unanswered: str) -> None:
        assert landing(cut).unanswered == unanswered


class TestFramed:
    def parsed(self, wire: bytes, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(wire)
        client.receive_data(b"")
        response = client.next_event()
        assert isinstance(response, h11.Response)
        body = b""
        while isinstance(event := client.next_event(), h11.Data):
            body += event.data
        assert isinstance(event, h11.EndOfMessage)
        headers = {name.decode(): value.decode("latin-1") for name, value in response.headers}
        return response.status_code, headers, body

    def test_a_known_length_is_sent_as_it_is(self) -> None:
        status, headers, body = self.parsed(wire_of(landing()))
        assert (status, int(headers["content-length"])) == (200, len(body))

    def test_a_reply_is_chunked_a_chunk_for_each_piece(self) -> None:
        _, headers, body = self.parsed(wire_of(reply()))
        assert headers["transfer-encoding"] == "chunked"
        assert body == body_of(reply())

    def test_for_one_who_knows_no_chunks_the_connection_ends_the_reply(self) -> None:
        pieces = list(framed(reply(), chunked=False))
        _, headers, body = self.parsed(b"".join(piece.data for piece in pieces))
        assert headers["connection"] == "close"
        assert "transfer-encoding" not in headers
        assert body == body_of(reply())
        assert pieces[-1].then == "close"

    def test_a_connection_that_is_not_kept_is_closed_after_the_response(self) -> None:
        response = landing()
        *_, last = framed(response, keep=False)
        assert last.then == "close"

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 503), ("GET", 204), ("GET", 304)])
    def test_where_there_is_no_body_none_is_sent(self, method: str, status: int) -> None:
        wire = wire_of(landing(Refuse(status), Split((1,)), Insert("x")), method=method)
        assert wire.endswith(b"\r\n\r\n")
        assert self.parsed(wire, method)[2] == b""

    def test_a_broken_chunked_body_has_no_end(self) -> None:
        *_, last = framed(reply(Cut(4)))
        assert last == Piece(b"4\r\ndata\r\n", then="close")

    @given(sizes=st.lists(st.integers(1, 500), min_size=1))
    @settings(deadline=None)
    def test_the_wire_is_split_head_and_all(self, sizes: list[int]) -> None:
        assert wire_of(reply(Split(tuple(sizes), "wire"))) == wire_of(reply())

    def test_effects_on_the_wire_count_from_the_first_byte_of_the_head(self) -> None:
        assert wire_of(landing(Cut(8, of="wire"))) == b"HTTP/1.1"
        assert wire_of(landing(Insert("<", 4, "wire"))).startswith(b"HTTP</1.1 200")


class TestTheLog:
    def endings(self, service: Service) -> list[str]:
        return [line.ended for line in service.log]

    def test_it_says_how_much_was_taken_and_how_it_ended(self) -> None:
        service = service_with("landing", Cut(5, "reset"), times=1)
        body_of(get(service))
        body_of(get(service))
        assert [(line.ended, line.complete) for line in service.log] == [("broken", False), ("complete", True)]
        assert service.log[0].taken == 5

    def test_a_client_that_has_all_it_was_told_of_has_it_all(self) -> None:
        service = Service()
        response = get(service)
        next(response.pieces)
        response.pieces.close()
        undelivered = get(service)
        next(undelivered.pieces)
        undelivered.pieces.close(delivered=False)
        assert self.endings(service) == ["complete", "left"]

    @pytest.mark.parametrize("taken", [0, 1, 2])
    def test_a_client_that_leaves_has_left_also_before_anything_came(self, taken: int) -> None:
        service = service_with("chat", Cut(200, "hang"))
        pieces = ask(service, "?").pieces
        list(islice(pieces, taken))
        assert self.endings(service) == ["", ""]
        pieces.close()
        assert self.endings(service) == ["", "left"]
        assert next(pieces, None) is None

    @pytest.mark.parametrize(("then", "ended"), [("close", "broken"), ("reset", "broken"), ("hang", "")])
    def test_what_is_broken_off_on_the_wire_is_too(self, then: Any, ended: str) -> None:
        service = service_with("landing", Cut(10, then, "wire"))
        assert wire_of(get(service)) == b"HTTP/1.1 2"
        assert service.log[0].ended == ended


class TestWhatIsSaidLater:
    def test_a_client_goes_on_with_whatever_it_made_of_a_spoiled_reply(self) -> None:
        service = service_with("chat", Cut(200, "end"), times=1)
        body_of(ask(service, "1"))
        body_of(ask(service, "1", "on", "2"))
        assert service.log[-1].status == 200
        assert ask(service, "1", "on", "2", "one two", "3").status == 200
        assert ask(service, "1", "on", "2", "something else", "3").status == 400

    def test_a_refused_question_is_no_history(self) -> None:
        service = service_with("chat", Refuse(503), times=1)
        body_of(ask(service, "1"))
        assert ask(service, "1", "one two", "2").status == 400


@each_of(
    "make, says",
    [
        (lambda: Refuse(99), "status: .*200"),
        (lambda: Refuse(429, retry_after=1.5), "retry-after: "),  # type: ignore[arg-type]
        (lambda: Refuse(429, "\udcff"), "type: "),
        (lambda: Redirect(status=300), "status: .*300"),  # type: ignore[arg-type]
        (lambda: Coding("br"), "name: .*br"),  # type: ignore[arg-type]
        (lambda: Cut(-1), "at: "),
        (lambda: Cut(then="end", of="wire"), "then: "),
        (lambda: Split(()), "sizes: "),
        (lambda: Split((0,)), "sizes: "),
        (lambda: Drip(-0.5), "seconds: "),
        (lambda: Drip(float("nan")), "seconds: "),
        (lambda: Endless(""), "text: "),
        (lambda: Body("\ud800"), "text: "),
        (lambda: Fault("nowhere", [Cut()]), "on: .*nowhere"),  # type: ignore[arg-type]
        (lambda: Fault("chat", []), "effects: "),
        (lambda: Fault("chat", ["cut"]), "effects: "),  # type: ignore[list-item]
        (lambda: Fault("chat", [Cut()], first=0), "first: "),
        (lambda: Fault("chat", [Cut()], times=0), "times: "),
    ],
)
def test_what_can_not_be_meant_is_refused_when_it_is_made(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}"):
        make()


@contextmanager
def only_printable_errors() -> Iterator[None]:
    said = ""
    try:
        yield
    except ValueError as error:
        said = str(error)
    assert said.isprintable()


class TestNotation:
    @pytest.mark.parametrize(
        ("line", "toml", "fault"),
        [
            (
                "chat:429,retry-after=2,times=1",
                '{ on = "chat", times = 1, effects = [{ do = "refuse", status = 429, retry-after = "2" }] }',
                Fault("chat", [Refuse(429, retry_after="2")], times=1),
            ),
            (
                "status:refuse=418,type=ERR_CHALLENGE,tokens",
                '{ on = "status", effects = [{ do = "refuse", status = 418, type = "ERR_CHALLENGE", tokens = true }] }',
                Fault("status", [Refuse(418, "ERR_CHALLENGE", tokens=True)]),
            ),
            (
                "chat:coding,cut=100,then=reset,split=1+20,of=wire,drip=0.5,first=2",
                """{ on = "chat", first = 2, effects = [
                    { do = "coding" }, { do = "cut", at = 100, then = "reset" },
                    { do = "split", sizes = [1, 20], of = "wire" }, { do = "drip", seconds = 0.5 },
                ] }""",
                Fault("chat", [Coding(), Cut(100, "reset"), Split((1, 20), "wire"), Drip(0.5)], first=2),
            ),
            (
                "landing:header=x,value=a%0D%0Ab%2C=c",
                '{ on = "landing", effects = [{ do = "header", name = "x", value = "a\\r\\nb,=c" }] }',
                Fault("landing", [Header("x", "a\r\nb,=c")]),
            ),
            (
                "front_end:body=,endless,header=x",
                """{ on = "front_end", effects = [
                    { do = "body", text = "" }, { do = "endless" }, { do = "header", name = "x" },
                ] }""",
                Fault("front_end", [Body(), Endless(), Header("x")]),
            ),
        ],
    )
    def test_a_line_and_toml_say_the_same(self, line: str, toml: str, fault: Fault) -> None:
        assert fault_from_text(line) == fault
        assert script_from_toml(f"fault = [{toml.replace(chr(10), ' ')}]") == (fault,)

    def test_a_line_holds_any_byte(self) -> None:
        assert fault_from_text("landing:body=%ff%00%C3%A4").effects == (Body("\udcff\0ä"),)

    def test_a_document_without_faults_is_an_empty_script(self) -> None:
        assert script_from_toml("# nothing goes wrong\n") == ()

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("", "a fault is ENDPOINT:EFFECT.*there are front_end, landing, status, chat"),
            ("chat", "the effect at chat is missing"),
            ("chat:", "the effect at chat is missing"),
            ("chat:times=1", "the effect at chat is missing"),
            ("chats:429", "'chats' is no endpoint"),
            (
                "chat:frobnicate",
                "'frobnicate' is no effect; the effects are refuse, redirect, .*, and a status such as",
            ),
            ("chat:429,at=1", "'at' is neither an attribute of refuse \\(status, type, retry-after, tokens\\) nor"),
            ("chat:\x1b[31m", r"x1b\[31m' is no effect"),
            ("chat:42", "^refuse.status must be a whole number from 200 to 599$"),
            ("chat:999", "^refuse.status must be a whole number from 200 to 599$"),
            ("chat:cut=many", "^cut.at must be a whole number, 0 or more$"),
            ("chat:drip=slowly", "^drip.seconds must be a number from 0 to 1,000,000,000$"),
            ("chat:cut=1,then=explode", "'explode' - at `cut.then`; there are close, reset, hang, end"),
            ("chat:redirect,status=300", "at `redirect.status`; there are 301, 302, 303, 307, 308"),
            ("chat:split=", "^split.sizes\\[0\\] must be a whole number, 1 or more$"),
            ("chat:insert", "^`text` is missing in `insert`$"),
            ("chat:429,times=often", "^times must be a whole number, 1 or more$"),
        ],
    )
    def test_a_line_that_says_nothing_is_refused_with_what_could_stand_there(self, line: str, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            fault_from_text(line)

    @pytest.mark.parametrize(
        ("toml", "says"),
        [
            ("x", "^not TOML: .*line 1|end of document"),
            ("faults = []", "^there is no key `faults`$"),
            ("[[fault]]", "^`on` is missing in `fault\\[0\\]`$"),
            ('[[fault]]\non = "x"\neffects = []', "'x' - at `fault\\[0\\].on`; there are front_end"),
            ('[[fault]]\non = "chat"\neffects = []', "at `fault\\[0\\].effects`"),
            ('[[fault]]\non = "chat"\neffects = [{ do = "x" }]', "do`; there are refuse, redirect"),
            (
                '[[fault]]\non = "chat"\neffects = [{ do = "cut", to = 1 }]',
                "^there is no key `to` in `fault.0..effects.0.`$",
            ),
            (
                '[[fault]]\non = "chat"\neffects = [{ do = "cut", at = "1" }]',
                "^fault.*at must be a whole number, 0 or more$",
            ),
        ],
    )
    def test_a_document_that_is_no_script_is_refused_with_the_place(self, toml: str, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            script_from_toml(toml)

    @given(text=st.text() | st.text("chat:cut=,429%+then").map("chat:".__add__))
    @settings(deadline=None)
    def test_whatever_a_line_says_it_is_a_fault_or_a_value_error(self, text: str) -> None:
        with only_printable_errors():
            fault_from_text(text)

    @given(text=st.text() | st.text('fault[]{}on="chat"do=cut\n,'))
    @settings(deadline=None)
    def test_whatever_a_document_says_it_is_a_script_or_a_value_error(self, text: str) -> None:
        with only_printable_errors():
            script_from_toml(text)


EFFECTS: st.SearchStrategy[StreamEffect] = st.one_of(
    st.builds(Insert, st.text("abc"), st.integers(0, 300)),
    st.builds(Split, st.lists(st.integers(1, 300), min_size=1).map(tuple)),
    st.builds(Drip, st.floats(0, 9)),
    st.builds(Cut, st.integers(0, 900), st.sampled_from(["close", "reset", "hang", "end"])),
    st.builds(Coding, st.sampled_from(["gzip", "deflate"])),
    st.builds(Event, st.text("abc"), st.integers(0, 9)),
    st.builds(Done, st.text("abc")),
    st.builds(Endless, st.just("xy")),
)


@given(effects=st.lists(EFFECTS, min_size=1, max_size=5))
@settings(deadline=None)
def test_effects_compose_in_any_order(effects: list[StreamEffect]) -> None:
    service = service_with("chat", *effects)
    pieces = list(islice(framed(ask(service, "?")), 1000))
    assert pieces[0].data.startswith(b"HTTP/1.1 200 ")
    assert {piece.then for piece in pieces[:-1]} == {"more"}
    ended = {"more": "complete", "close": "broken", "reset": "broken", "hang": ""}[pieces[-1].then]
    assert service.log[-1].ended == ended or len(pieces) == 1000
