"""The pytest plugin, used as its users do: in a project of their own, with every warning an error."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from support.paths import TRANSCRIPTS
from support.tiers import thinned

# What a run inside this one imports is forgotten after it, and some of it is not to be imported twice.
import ddg_protocol.service.script  # noqa: F401
import ddg_transports.anyio
import ddg_transports.blocking
import ddg_transports.emulator  # noqa: F401
from ddg_protocol import TransportError
from ddg_transports._socket_stream import SocketStream
from ddg_transports._streams import Connection

pytest_plugins = ["pytester"]

OTHERS = frozenset({"anyio", "asyncio", "hypothesispytest", "pytest_cov", "trio"})
"""The plugins that are installed beside ours; each run says which of them it is to have."""


def options(*plugins: str) -> list[str]:
    without = [f"-pno:{plugin}" for plugin in sorted(OTHERS.difference(plugins))]
    return ["-Werror", "--strict-markers", "--strict-config", *without]


class User:
    """Somebody else's project: a folder with tests and no configuration."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester

    def runs(self, text: str, *, plugin: str = "anyio", **outcomes: int) -> str:
        """Run tests in this process; give what pytest printed."""
        self.pytester.makepyfile(text)
        return self._printed(self.pytester.runpytest_inprocess(*options(plugin)), outcomes)

    def runs_apart(self, text: str, *more: str, plugin: str = "", **outcomes: int) -> str:
        """Run tests in a process of their own; give what pytest printed."""
        self.pytester.makepyfile(text)
        return self._printed(self.pytester.runpytest_subprocess(*options(plugin), *more), outcomes)

    def _printed(self, result: pytest.RunResult, outcomes: dict[str, int]) -> str:
        result.assert_outcomes(**outcomes)
        return result.stdout.str()


@pytest.fixture
def user(pytester: pytest.Pytester) -> User:
    return User(pytester)


def test_each_fixture_is_there_without_configuration(user: User) -> None:
    user.runs(
        """
        import urllib.error, urllib.request

        from ddg_protocol import Policy, Session
        from ddg_protocol.testing import Run
        from ddg_transports.blocking import Client


        def test_the_service_in_memory(duck_service):
            assert Run(Session(), duck_service).ask("Why?").text


        def test_the_server(duck_server, duck_service):
            try:
                urllib.request.urlopen(duck_server.url + "/aichat")
            except urllib.error.HTTPError as error:
                error.close()
            assert duck_server.service is duck_service
            assert len(duck_service.log) == 1


        def test_a_client_of_one_s_own(duck_profile, duck_policy, duck_service):
            assert duck_profile.interval == 0
            with Client(duck_profile, policy=duck_policy) as client:
                assert client.chat().ask("Why?").text
            assert [exchange.status for exchange in duck_service.log] == [200] * 4


        def test_the_blocking_client(duck_client, duck_service):
            duck_service.responder = lambda question: f"You asked: {question.text}"
            chat = duck_client.chat()
            assert chat.ask("Why?").text == "You asked: Why?"
            with chat.stream("And now?") as reply:
                assert "".join(reply) == "You asked: And now?"


        def test_each_test_has_a_service_of_its_own(duck_service):
            assert not duck_service.log
        """,
        passed=5,
    )


ASYNC = """
        import pytest

        async def test_it_is_used_as_it_is(duck_async_client):
            assert (await duck_async_client.chat().ask("Why?")).text

        async def test_it_may_be_entered(duck_async_client):
            async with duck_async_client as client:
                assert (await client.chat().ask("Why?")).text

        @pytest.mark.filterwarnings("ignore:unclosed AsyncReply")
        @pytest.mark.duck("chat:cut=500,then=hang")
        async def test_a_reply_that_is_left_open_leaves_nothing_behind(duck_async_client):
            reply = duck_async_client.chat().stream("Why?")
            await reply.__aenter__()
            assert await anext(reply) is not None

        @pytest.mark.duck("chat:503,times=2")
        async def test_retries_do_not_wait(duck_async_client, duck_service):
            chat = duck_async_client.chat()
            assert (await chat.ask("Why?")).text
            assert (await chat.ask("Why not?")).text
            assert [line.status for line in duck_service.log if line.endpoint == "chat"] == [503, 503, 200, 200]
"""


def test_the_async_client_works_on_both_of_anyio_s_backends(user: User) -> None:
    user.runs(f"{ASYNC}\n        pytestmark = pytest.mark.anyio", passed=8)


def test_an_async_client_that_is_left_open_warns_of_nothing(user: User) -> None:
    user.runs(
        """
        import gc
        import pytest

        @pytest.mark.anyio
        async def test_it_is_used_as_it_is(duck_async_client):
            assert (await duck_async_client.chat().ask("Why?")).text

        @pytest.mark.filterwarnings("error")
        def test_nothing_is_left_of_it():
            gc.collect()
        """,
        passed=3,
    )


ASYNCIO = ("-o", "asyncio_default_fixture_loop_scope=function")  # without it the plugin warns


@pytest.mark.parametrize(
    ("plugin", "marks", "more"),
    thinned(
        [
            ("asyncio", "pytest.mark.asyncio", ASYNCIO),
            ("asyncio", "[]", (*ASYNCIO, "-o", "asyncio_mode=auto")),
            ("trio", "pytest.mark.trio", ()),
            ("trio", "[]", ("-o", "trio_mode=true")),
        ],
        one_in=4,
        reason="each plugin in each mode",
    ),
)
def test_the_async_client_works_under_other_plugins(user: User, plugin: str, marks: str, more: tuple[str, ...]) -> None:
    user.runs_apart(f"{ASYNC}\n        pytestmark = {marks}", *more, plugin=plugin, passed=4)


def test_the_async_client_works_under_no_plugin_at_all(user: User) -> None:
    user.runs(
        """
        import asyncio, trio

        async def ask(client):
            assert (await client.chat().ask("Why?")).text

        def test_on_asyncio(duck_async_client):
            asyncio.run(ask(duck_async_client))

        def test_on_trio(duck_async_client):
            trio.run(ask, duck_async_client)
        """,
        passed=2,
    )


def test_its_connections_notice_that_they_have_ended_while_idle() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection(SocketStream(ours))
        connection.check_idle()
        theirs.close()
        with pytest.raises(TransportError, match="closed while it was idle"):
            connection.check_idle()


def test_marks_say_what_goes_wrong_and_what_the_service_is(user: User) -> None:
    user.runs(
        """
        import pytest

        from ddg_protocol import RateLimitError
        from ddg_protocol.errors import AccessDeniedError
        from ddg_protocol.service import Fault
        from ddg_protocol.service.faults import Refuse

        pytestmark = pytest.mark.duck("landing:503", responder=lambda question: "The module's.")


        @pytest.mark.duck(challenge=True)
        class TestSome:
            def test_of_the_class(self, duck_client, duck_service):
                assert duck_client.chat().ask("Why?").text == "The module's."
                assert [exchange.status for exchange in duck_service.log] == [200, 503, 200, 418, 200]

            @pytest.mark.duck(Fault("chat", [Refuse(429)]), "chat:event=[PING]", challenge=False)
            @pytest.mark.duck("landing:body=", responder=lambda question: "The test's.")
            def test_the_nearest_counts_and_faults_add_up(self, duck_client, duck_service):
                with pytest.raises(RateLimitError):
                    duck_client.chat().ask("Why?")
                assert duck_service.responder(None) == "The test's."
                effects = [type(effect).__name__ for line in duck_service.log for fault in line.faults
                           for effect in fault.effects]
                assert effects[:2] == ["Refuse", "Body"]
                assert effects[-2:] == ["Refuse", "Event"]


        @pytest.mark.parametrize(
            "status", [pytest.param(429, marks=pytest.mark.duck("chat:429,times=1")), pytest.param(200)]
        )
        def test_a_parameter_brings_its_own(duck_client, duck_service, status):
            assert duck_client.chat().ask("Why?").text
            assert next(line.status for line in duck_service.log if line.endpoint == "chat") == status


        def test_more_goes_wrong_from_now_on(duck_client, duck_service):
            chat = duck_client.chat()
            chat.ask("Why?")
            duck_service.add_fault(Fault("chat", [Refuse(403)], times=1))
            with pytest.raises(AccessDeniedError):
                chat.ask("And now?")
            assert chat.ask("And now?").text
        """,
        passed=5,
    )


def test_a_mark_that_says_nothing_sensible_is_an_error_that_says_so(user: User) -> None:
    printed = user.runs(
        """
        import pytest

        @pytest.mark.duck("chart:503")
        def test_an_endpoint(duck_client): pass

        @pytest.mark.duck(chalenge=True)
        def test_a_setting(duck_client): pass
        """,
        errors=2,
    )
    assert "'chart' is no endpoint; there are front_end, landing, status, chat" in printed
    assert "unexpected keyword argument 'chalenge'" in printed


def test_a_fault_that_no_request_met_fails_a_test_that_passed(user: User) -> None:
    printed = user.runs(
        """
        import pytest

        from ddg_protocol.service import Service
        from ddg_protocol.service.script import fault_from_text

        @pytest.mark.duck("landing:503,first=2,times=1")
        def test_it_is_too_late(duck_client):
            duck_client.chat().ask("Why?")

        @pytest.mark.duck("chat:503", allow_unmet_faults=True)
        def test_it_may_be(duck_client): pass

        @pytest.mark.duck("chat:503,times=99")
        def test_once_is_enough(duck_client):
            with pytest.raises(Exception, match="503"):
                duck_client.chat().ask("Why?")

        @pytest.mark.duck("chat:504")
        def test_that_fails_by_itself(duck_client):
            assert not "by itself"

        @pytest.mark.duck("chat:504")
        def test_that_is_skipped(duck_client):
            pytest.skip("not now")

        class TestOwn:
            @pytest.fixture
            def duck_service(self):
                return Service(script=[fault_from_text("status:500")])

            def test_a_service_of_one_s_own(self, duck_client): pass
        """,
        passed=2,
        failed=3,
        skipped=1,
    )
    assert printed.count("\nno request met these faults") == 2  # beside what the summary says of them
    assert "Fault(on='landing', effects=(Refuse(status=503" in printed
    assert "Fault(on='status', effects=(Refuse(status=500" in printed
    assert "status=504" not in printed
    assert "allow_unmet_faults=True" in printed


def test_what_the_responder_raises_is_an_error_of_the_test(user: User) -> None:
    printed = user.runs(
        """
        import pytest
        from ddg_protocol import TransportError

        def test_that_is_content_with_any_failure(duck_client, duck_service):
            def answer(question):
                raise LookupError("no such answer")

            duck_service.responder = answer
            with pytest.raises(TransportError):
                duck_client.chat().ask("Why?")
        """,
        passed=1,
        errors=1,
    )
    assert "LookupError: no such answer" in printed
    assert "duck service log" in printed


def test_a_failure_shows_what_the_service_was_asked_and_nothing_secret(user: User) -> None:
    printed = user.runs(
        """
        import json
        from pathlib import Path

        import pytest

        @pytest.mark.duck("chat:429,times=1", "chat:cut=400,then=hang,first=2", challenge=True)
        def test_that_fails(duck_client, duck_server, duck_service):
            with duck_client.chat().stream("A question that is nobody's business?") as reply:
                next(iter(reply))
            duck_server.close()
            Path("said.json").write_text(json.dumps([line.request.headers for line in duck_service.log]))
            pytest.fail("on purpose")

        def test_that_passes(duck_client):
            duck_client.chat().ask("Why?")

        def test_that_asks_nothing(duck_client):
            pytest.fail("on purpose")
        """,
        failed=2,
        passed=1,
    )
    assert printed.count("- duck service log -") == 1
    lines = printed[printed.index("- duck service log -") :].splitlines()[1:]
    assert lines[1].startswith("GET /aichat: 200; complete, ")
    assert lines[3].startswith("POST /duckchat/v1/chat: 429 (x-vqd-hash-1 is empty); complete, ")
    assert lines[3].endswith("; by the script: refuse")
    left = next(line for line in lines if "the client left" in line)
    assert left.startswith("POST /duckchat/v1/chat: 200; the client left before the end, 400 bytes; by the script: cut")
    said = [field for headers in json.loads(Path("said.json").read_text()) for field in headers]
    secrets = {value for name, value in said if name in ("cookie", "x-vqd-4", "x-vqd-hash-1") and value}
    assert len(secrets) > 3
    assert not [secret for secret in secrets if secret in printed]
    assert "nobody" not in "".join(lines)


def test_a_log_is_shown_for_whatever_fails_and_whoever_made_the_service(user: User) -> None:
    user.pytester.makeconftest(
        """
        import pytest
        from ddg_protocol.service import Service

        @pytest.fixture
        def duck_service():
            return Service(responder=lambda question: "My own.")
        """
    )
    printed = user.runs(
        """
        import pytest

        @pytest.fixture
        def asked(duck_client):
            yield duck_client.chat().ask("Why?").text
            pytest.fail("after the test")

        @pytest.fixture
        def broken(duck_client):
            duck_client.chat().ask("Why?")
            pytest.fail("before the test")

        def test_teardown(asked):
            assert asked == "My own."

        def test_setup(broken): pass

        @pytest.mark.parametrize("name", ["duck_client"])
        def test_a_fixture_by_its_name(request, name):
            request.getfixturevalue(name).chat().ask("Why?")
            pytest.fail("in the test")
        """,
        passed=1,
        failed=1,
        errors=2,
    )
    assert printed.count("- duck service log -") == 3
    assert printed.count("POST /duckchat/v1/chat: 200") == 3


def test_a_transcript_may_be_the_service(user: User) -> None:
    recorded = TRANSCRIPTS / "two-turns.jsonl"
    user.pytester.makeconftest(
        f"""
        import pytest
        from pathlib import Path
        from ddg_protocol.transcript import Transcript, TranscriptService

        @pytest.fixture
        def duck_service():
            return TranscriptService(Transcript.read(Path({str(recorded)!r}).read_bytes()))
        """
    )
    printed = user.runs(
        """
        def test_that_goes_on_for_too_long(duck_client):
            chat = duck_client.chat()
            assert chat.ask("Why is the sky blue?").text
            assert chat.ask("And at dusk?").text
            assert not chat.ask("And at night?")
        """,
        failed=1,
    )
    assert "the transcript has no more requests" in printed


def test_the_policy_is_a_fixture_to_override(user: User) -> None:
    user.runs(
        """
        import pytest
        from ddg_protocol import ChatTimeoutError, Policy

        @pytest.fixture
        def duck_policy():
            return Policy(read_timeout=0.05)

        @pytest.mark.duck("chat:cut=500,then=hang")
        def test_silence(duck_client):
            with pytest.raises(ChatTimeoutError):
                duck_client.chat().ask("Why?")

        @pytest.mark.anyio
        @pytest.mark.duck("chat:cut=500,then=hang")
        async def test_silence_in_async_code(duck_async_client):
            with pytest.raises(ChatTimeoutError):
                await duck_async_client.chat().ask("Why?")
        """,
        passed=3,
    )


def test_a_run_that_uses_none_of_it_imports_none_of_it(user: User) -> None:
    user.runs_apart(
        """
        import sys

        def test_what_is_there(request):
            assert request.config.pluginmanager.has_plugin("ddg_protocol")
            ours = {"ddg_transports", "ddg_transports.testing", "ddg_transports.testing.plugin"}
            # Not ssl: from 3.14 on pdb imports asyncio, and pytest pdb.
            heavy = {"ddg_protocol", "ddg_transports", "ddg_chat", "h11", "anyio", "msgspec", "httpcore", "bs4"}
            assert {name for name in sys.modules if name.partition(".")[0] in heavy} == ours
        """,
        passed=1,
    )


@pytest.mark.deep("a process more")
def test_it_goes_with_measured_coverage(user: User) -> None:
    printed = user.runs_apart(
        """
        def test_one(duck_client):
            assert duck_client.chat().ask("Why?").text
        """,
        "--cov=ddg_transports.blocking",
        plugin="pytest_cov",
        passed=1,
    )
    assert "blocking.py" in printed


def test_the_marker_and_the_fixtures_explain_themselves(user: User) -> None:
    markers = user.pytester.runpytest_inprocess(*options(), "--markers").stdout.str()
    assert "@pytest.mark.duck(*faults, allow_unmet_faults=False, **settings): " in markers
    fixtures = user.pytester.runpytest_inprocess(*options(), "--fixtures").stdout.str()
    for name in ("service", "server", "profile", "policy", "client", "async_client"):
        assert f"\nduck_{name} -- " in fixtures
    assert "no docstring" not in fixtures[fixtures.index("duck_service") :]


CONTRACT = """
        from contextlib import contextmanager

        from support.native import BlockingTransport


        class Decodes(BlockingTransport):
            def open(self, request, *, timeout):
                exchange = super().open(request, timeout=timeout)
                if dict(exchange.headers).get("content-encoding"):
                    exchange.read = lambda *, timeout, parts=[b"text", b""]: parts.pop(0)
                return exchange


        @contextmanager
        def factory(context):
            transport = Decodes(context)
            try:
                yield transport
            finally:
                transport.close()
"""


def test_a_transport_that_breaks_its_contract_fails_the_test_with_what_is_broken_alone(user: User) -> None:
    printed = user.runs(
        CONTRACT
        + """

        def test_it(duck_contract):
            duck_contract(factory, ["empty-body", "not-decoded"], tls=False)
        """,
        failed=1,
    )
    assert "BROKEN  not-decoded" in printed
    assert "1 of 2 kept, 1 BROKEN" in printed
    assert "kept    empty-body" not in printed
    assert "contract of transports" not in printed


def test_what_is_waived_is_listed_at_the_end_of_the_run(user: User) -> None:
    printed = user.runs(
        CONTRACT
        + """

        def test_it(duck_contract):
            waive = {"not-decoded": "it always decodes", "empty-body": "it has none"}
            report = duck_contract(factory, ["empty-body", "not-decoded"], tls=False, waive=waive)
            assert [result.name for result in report.waived] == ["not-decoded"]
        """,
        passed=1,
    )
    (section,) = re.findall(r"^=+ contract of transports =+\n+((?:test_.*\n)+)", printed, re.MULTILINE)
    assert [line.partition("::test_it: ")[2] for line in section.splitlines()] == [
        "waived not-decoded: it always decodes",
        "the waiver of empty-body is not needed: remove it",
    ]
