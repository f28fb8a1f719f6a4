"""The profile: what can change about the service, as data, checked when it is made."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
import pytest
from support.cases import each_of

from ddg_protocol._request import chat_body, chat_headers, page_headers, status_headers
from ddg_protocol.conversation import Message
from ddg_protocol.errors import ModelNotSupportedError
from ddg_protocol.handshake import read_version
from ddg_protocol.identity import Identity
from ddg_protocol.models import Model
from ddg_protocol.profile import ServiceProfile
from ddg_protocol.revisions.duckduckgo_2025_04 import DUCKDUCKGO_2025_04

OWN = (("user-agent", "{user_agent}"), ("accept-language", "{accept_language}"))


def changed(**changes: Any) -> ServiceProfile:
    return msgspec.structs.replace(DUCKDUCKGO_2025_04, **changes)


# The service as it was (PROTOCOL.md sections 1 and 2)


def test_the_constants_are_those_of_the_protocol() -> None:
    profile = DUCKDUCKGO_2025_04
    assert profile.label == "DuckDuckGo AI Chat"
    assert profile.url(profile.landing_path) == "https://duckduckgo.com/aichat"
    assert profile.url(profile.front_end_path) == "https://duckduckgo.com/?q=DuckDuckGo+AI+Chat&ia=chat&duckai=1"
    assert profile.url(profile.status_path) == "https://duckduckgo.com/duckchat/v1/status"
    assert profile.url(profile.chat_path) == "https://duckduckgo.com/duckchat/v1/chat"
    assert profile.cookies == (("dcs", "1"), ("dcm", "3"))
    assert profile.interval == 1.5
    assert (profile.host, profile.answer_style) == ("duckduckgo.com", "python")
    assert not profile.front_end_version_required
    assert not profile.chat_is_repeatable


@each_of(
    "host, allowed",
    [
        ("duckduckgo.com", True),
        ("links.duckduckgo.com", True),
        ("a.b.duckduckgo.com", True),
        ("duck.ai", True),
        ("www.duck.ai", False),
        ("evilduckduckgo.com", False),
        ("duckduckgo.com.evil.com", False),
        ("duckduckgo.com.", False),
        (".duckduckgo.com", False),
        ("DuckDuckGo.com", False),  # hosts are compared in lower case
        ("evil.com\\.duckduckgo.com", False),
        ("", False),
    ],
)
def test_tokens_and_cookies_may_go_to_these_hosts(host: str, allowed: bool) -> None:
    assert DUCKDUCKGO_2025_04.allows(host) == allowed


@each_of(
    "name, id",
    [
        (None, "gpt-4o-mini"),
        ("", "gpt-4o-mini"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4", "gpt-4o-mini"),
        ("llama-3.3-70b", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("claude-3-haiku", "claude-3-haiku-20240307"),
        ("claude-3-haiku-20240307", "claude-3-haiku-20240307"),
        ("o3-mini", "o3-mini"),
        ("mixtral-small-24b", "mistralai/Mistral-Small-24B-Instruct-2501"),
        ("mistral-small-3", "mistralai/Mistral-Small-24B-Instruct-2501"),
        ("mistralai/Mistral-Small-24B-Instruct-2501", "mistralai/Mistral-Small-24B-Instruct-2501"),
    ],
)
def test_a_model_is_known_by_its_id_and_its_aliases(name: str | None, id: str) -> None:
    assert DUCKDUCKGO_2025_04.validate_model(name) == id


@pytest.mark.parametrize("name", ["gpt-5", "GPT-4", " gpt-4", "meta-llama/llama-3.3-70b-instruct-turbo"])
def test_an_unknown_model_is_named_and_the_known_ones_are_listed(name: str) -> None:
    with pytest.raises(ModelNotSupportedError) as caught:
        DUCKDUCKGO_2025_04.validate_model(name)
    message = str(caught.value)
    assert repr(name) in message
    assert message.endswith(
        "the models are: gpt-4o-mini (gpt-4), meta-llama/Llama-3.3-70B-Instruct-Turbo (llama-3.3-70b), "
        "claude-3-haiku-20240307 (claude-3-haiku), o3-mini, "
        "mistralai/Mistral-Small-24B-Instruct-2501 (mixtral-small-24b, mistral-small-3)"
    )


def test_a_hostile_name_of_a_model_is_shown_short_and_printable() -> None:
    with pytest.raises(ModelNotSupportedError) as caught:
        DUCKDUCKGO_2025_04.validate_model("\x1b[31m\ud800" * 1000)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


# Everything that can change is data (sections 1 to 3)


def test_many_names_are_held_against_each_other_in_linear_time() -> None:
    began = time.process_time()
    profile = changed(models=(Model("a", tuple(f"alias {number}" for number in range(50_000))),))
    assert time.process_time() - began < 2.0  # each against each takes half a minute
    assert profile.validate_model("alias 49999") == "a"


def test_an_embedders_models_take_the_place_of_the_services() -> None:
    profile = changed(models=(Model("o4-mini", ("o4",)), Model("gpt-5")))
    assert profile.validate_model() == "o4-mini"
    assert profile.validate_model("o4") == "o4-mini"
    assert profile.validate_model("gpt-5") == "gpt-5"
    with pytest.raises(
        ModelNotSupportedError, match=r"no model is called 'gpt-4'; the models are: o4-mini \(o4\), gpt-5$"
    ):
        profile.validate_model("gpt-4")


def test_everything_a_request_says_is_data() -> None:
    profile = changed(
        identity=Identity(user_agent="my-program/1.0", sec_ch_ua='"Mine";v="1"', accept_language="de"),
        page_headers=(*OWN, ("accept", "*/*")),
        status_headers=(*OWN, ("accept", "*/*"), ("x-vqd-accept", "2")),
        chat_headers=(*DUCKDUCKGO_2025_04.chat_headers, ("x-fe-signals", "e30=")),
        extra_body={"metadata": {"toolChoice": {"NewsSearch": False}}, "canUseTools": True},
        version_markers=('a="', 'b="'),
    )
    own = (("user-agent", "my-program/1.0"), ("accept-language", "de"))
    assert page_headers(profile) == (*own, ("accept", "*/*"))
    assert status_headers(profile) == (*own, *profile.status_headers[2:])
    sent = chat_headers(profile, "1-2", "4-1", "answer")
    assert ("sec-ch-ua", '"Mine";v="1"') in sent
    assert ("x-fe-signals", "e30=") in sent
    assert msgspec.json.decode(chat_body(profile, "o3-mini", [Message("user", "Hi")])) == {
        "model": "o3-mini",
        "messages": [{"role": "user", "content": "Hi"}],
        "metadata": {"toolChoice": {"NewsSearch": False}},
        "canUseTools": True,
    }
    assert read_version(b'a="1" b="2"', profile) == "1-2"


def test_an_interval_of_ones_own_counts_everywhere() -> None:
    assert changed(minimum_interval=0.25).interval == 0.25
    assert changed(minimum_interval=0).interval == 0
    assert changed(minimum_interval=1_000_000).interval == 1_000_000
    assert changed(minimum_interval=5.0).at("http://127.0.0.1").interval == 5.0


# Another address (section 3)


@each_of(
    "base, host, interval",
    [
        ("https://duck.ai", "duck.ai", 1.5),
        ("https://chat.example.org:8443", "chat.example.org", 1.5),
        ("https://chat_1.example-2.org", "chat_1.example-2.org", 1.5),
        ("https://127.0.0.1:8443", "127.0.0.1", 1.5),
        ("https://[2001:db8::1]:8443", "2001:db8::1", 1.5),
        ("http://127.0.0.1:8000", "127.0.0.1", 0.0),
        ("http://127.1.2.3", "127.1.2.3", 0.0),
        ("http://[::1]:8000", "::1", 0.0),
        ("http://localhost:65535", "localhost", 0.0),
    ],
)
def test_everything_follows_from_the_base_address(base: str, host: str, interval: float) -> None:
    profile = DUCKDUCKGO_2025_04.at(base)
    assert (profile.origin, profile.host, profile.interval) == (base, host, interval)
    assert profile.url(profile.chat_path) == base + "/duckchat/v1/chat"
    headers = dict(status_headers(profile))
    assert (headers["origin"], headers["referer"]) == (base, base + "/")
    assert profile.allows(host)
    assert not profile.allows("duckduckgo.com")
    assert not profile.allows("sub." + host)
    assert profile.models == DUCKDUCKGO_2025_04.models


def test_a_slash_at_the_end_of_a_base_address_is_no_matter() -> None:
    assert DUCKDUCKGO_2025_04.at("https://duck.ai/").origin == "https://duck.ai"


def test_other_attributes_can_change_with_the_address() -> None:
    profile = DUCKDUCKGO_2025_04.at("https://duck.ai", allowed_hosts=("duck.ai", ".duck.ai"), landing_path="/chat")
    assert profile.allows("www.duck.ai")
    assert profile.url(profile.landing_path) == "https://duck.ai/chat"


def test_a_redirect_may_lead_back_to_the_origin_whatever_other_hosts_are_named() -> None:
    profile = DUCKDUCKGO_2025_04.at("https://duck.ai", allowed_hosts=("example.org",))
    assert profile.allows("duck.ai")
    assert profile.allows("example.org")
    assert not profile.allows("duckduckgo.com")


@each_of(
    "base",
    [
        "",
        "duck.ai",
        "//duck.ai",
        "https://",
        "https:///",
        "https:duck.ai",
        "ftp://duck.ai",
        "HTTPS://duck.ai",
        "https://Duck.ai",
        "https://duck.ai/chat",
        "https://duck.ai?",
        "https://duck.ai?x=1",
        "https://duck.ai#",
        "https://duck.ai\n",
        "https://duck.ai\r\nx-evil: 1",
        "https://duck .ai",
        "https://dück.ai",
        "https://duck.ai.",
        "https://.duck.ai",
        "https://duck..ai",
        "https://user@duck.ai",
        "https://@duck.ai",
        "https://duck.ai\\@evil.com",
        "https://duck.ai:",
        "https://duck.ai:0",
        "https://duck.ai:080",
        "https://duck.ai:65536",
        "https://duck.ai:port",
        "https://duck.ai:٨٠",
        "https://[duck.ai]",
        "https://[::1",
        "https://::1",
        "https://[::x]",
        "https://[1:2]",
        "https://[fe80::1%25eth0]",
        "\ud800",
    ],
)
def test_a_base_address_is_scheme_host_and_port_and_nothing_more(base: str) -> None:
    with pytest.raises(ValueError, match="the base address must be https://HOST or https://HOST:PORT") as caught:
        DUCKDUCKGO_2025_04.at(base)
    assert str(caught.value).isprintable()


@each_of(
    "base",
    [
        *("http://duckduckgo.com", "http://example.org:8000", "http://192.168.0.1", "http://0.0.0.0", "http://[::]"),
        *("http://127.0.0.1.example.org", "http://localhost.example.org", "http://[2001:db8::1]", "http://127.1"),
    ],
)
def test_plain_http_is_for_loopback_addresses_alone(base: str) -> None:
    with pytest.raises(ValueError, match="plain http is for loopback addresses only; use https for"):
        DUCKDUCKGO_2025_04.at(base)


# Checked when made


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"origin": "duckduckgo.com"}, "base address"),
        ({"landing_path": "aichat"}, "landing_path must begin with /"),
        ({"front_end_path": ""}, "front_end_path"),
        ({"landing_path": "", "chat_path": "chat"}, "chat_path must begin with /"),
        ({"front_end_path": "/a b"}, "front_end_path"),
        ({"status_path": "/a\r\nb"}, "status_path"),
        ({"status_path": "/a\n"}, "status_path"),
        ({"chat_path": "/é"}, "chat_path"),
        ({"chat_path": "/a#b"}, "chat_path"),
        ({"chat_path": "/a\\b"}, "chat_path"),
        ({"allowed_hosts": ("https://duck.ai",)}, "allowed_hosts"),
        ({"allowed_hosts": ("duck.ai:443",)}, "allowed_hosts"),
        ({"allowed_hosts": ("Duck.ai",)}, "allowed_hosts"),
        ({"allowed_hosts": ("",)}, "allowed_hosts"),
        ({"allowed_hosts": (".",)}, "allowed_hosts"),
        ({"allowed_hosts": ("*.duck.ai",)}, "allowed_hosts"),
        ({"page_headers": (("Accept", "*/*"),)}, "page_headers: 'Accept' is not a header name in lower case"),
        ({"page_headers": (("", "x"),)}, "page_headers"),
        ({"status_headers": (("a b", "x"),)}, "status_headers"),
        ({"status_headers": (("a:", "x"),)}, "status_headers"),
        ({"chat_headers": (("x-a", "b\r\nc: d"),)}, "chat_headers: x-a is not a header value"),
        ({"chat_headers": (("x-a", "b\n"),)}, "chat_headers: x-a is not a header value"),
        ({"chat_headers": (("x-a", " b"),)}, "chat_headers: x-a is not a header value"),
        ({"chat_headers": (("x-a", "☃"),)}, "chat_headers: x-a is not a header value"),
        ({"identity": Identity(user_agent="a\nb")}, "identity.user_agent"),
        ({"identity": Identity(sec_ch_ua="\x00")}, "identity.sec_ch_ua"),
        ({"identity": Identity(accept_language="☃")}, "identity.accept_language"),
        ({"cookies": (("a b", "1"),)}, "cookies: 'a b'"),
        ({"cookies": (("", "1"),)}, "cookies"),
        ({"cookies": (("a", "1;2"),)}, "cookies"),
        ({"cookies": (("a", "1 2"),)}, "cookies"),
        ({"cookies": (("a", 'q"'),)}, "cookies"),
        ({"models": ()}, "models must name one model at least"),
        ({"models": (Model("a"), Model("a"))}, "these are not: a$"),
        ({"models": (Model("a", ("b",)), Model("b"))}, "these are not: b$"),
        ({"models": (Model("a", ("a",)),)}, "these are not: a$"),
        ({"models": (Model(""),)}, "these are not: an empty one$"),
        ({"models": (Model("a", ("",)),)}, "these are not: an empty one$"),
        ({"models": (Model("\ud800"),)}, "models can't be written as JSON"),
        ({"version_markers": ("", 'b="')}, "version_markers must not be empty"),
        ({"version_markers": ("\ud800", 'b="')}, "version_markers can't be written"),
        ({"extra_body": {"model": "x"}}, "extra_body must not name model or messages"),
        ({"extra_body": {"messages": []}}, "extra_body must not name model or messages"),
        ({"extra_body": {"x": object()}}, "extra_body can't be written as JSON"),
        ({"extra_body": {"x": "\ud800"}}, "extra_body can't be written as JSON"),
        ({"extra_body": {"x": {"y": (float("nan"),)}}}, "extra_body can't be written as JSON"),
        ({"minimum_interval": -0.1}, "minimum_interval must be 0 or more seconds"),
        ({"minimum_interval": float("nan")}, "minimum_interval"),
        ({"throttle_delay": -1.0}, "throttle_delay must be 0 or more seconds"),
        ({"minimum_interval": float("inf")}, "minimum_interval"),
        ({"minimum_interval": 1_000_000.5}, "minimum_interval must be 0 or more seconds and at most 1000000"),
    ],
)
def test_a_bad_profile_is_not_made_and_says_why(changes: dict[str, Any], why: str) -> None:
    for make in (changed, lambda **kwargs: ServiceProfile(**kwargs)):
        with pytest.raises(ValueError, match=why):
            make(**changes)


@pytest.mark.parametrize("field", ["page_headers", "status_headers", "models_headers", "chat_headers"])
def test_a_header_that_the_driver_writes_can_not_be_written_twice(field: str) -> None:
    for name in ("host", "connection", "content-length", "transfer-encoding"):
        with pytest.raises(ValueError, match=f"{field}: {name} is written by the driver"):
            changed(**{field: (*OWN, (name, "x"))})


@pytest.mark.parametrize("field", ["page_headers", "status_headers", "models_headers", "chat_headers"])
def test_a_list_without_the_headers_that_are_computed_is_refused_and_says_what_to_write(field: str) -> None:
    with pytest.raises(
        ValueError, match=field + r" must have all header fields.* user-agent with the value {user_agent}"
    ):
        changed(**{field: (("accept", "*/*"),)})


def test_a_header_without_a_value_is_left_out_unless_the_profile_wants_it_empty() -> None:
    headers = (*OWN, ("x-fe-version", "{fe_version}"), ("x-vqd-hash-1", "{answer or empty}"))
    assert chat_headers(changed(chat_headers=headers), "", "4-1", "")[2:] == (("x-vqd-hash-1", ""),)
    assert chat_headers(changed(chat_headers=headers), "1-2", "4-1", "a")[2:] == (
        ("x-fe-version", "1-2"),
        ("x-vqd-hash-1", "a"),
    )


@each_of("value", ["", "x", "a b", "a\tb", "é", '"q"', "\xff"])
def test_a_header_value_is_latin_1_text(value: str) -> None:
    headers = (*OWN, ("x-a", value))
    assert changed(chat_headers=headers).chat_headers == headers


def test_an_extra_body_that_holds_itself_is_not_taken() -> None:
    endless: dict[str, Any] = {}
    endless["x"] = endless
    with pytest.raises(ValueError, match="extra_body"):
        changed(extra_body=endless)


# A profile as a value


def test_profiles_are_compared_by_what_they_say_and_do_not_change() -> None:
    assert ServiceProfile() == ServiceProfile()
    assert changed() == DUCKDUCKGO_2025_04
    assert changed(label="Other") != DUCKDUCKGO_2025_04
    with pytest.raises(AttributeError):
        DUCKDUCKGO_2025_04.origin = "https://duck.ai"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        DUCKDUCKGO_2025_04.identity.user_agent = "x"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        DUCKDUCKGO_2025_04.models[0].id = "x"  # type: ignore[misc]


def test_profiles_share_no_extra_body() -> None:
    one, other = ServiceProfile(), ServiceProfile()
    one.extra_body["x"] = 1
    assert other.extra_body == {}


def test_a_profile_can_be_read_from_json_and_is_checked_then_too() -> None:
    stored = msgspec.json.encode(DUCKDUCKGO_2025_04)
    assert msgspec.json.decode(stored, type=ServiceProfile) == DUCKDUCKGO_2025_04
    with pytest.raises(msgspec.ValidationError, match="base address"):
        msgspec.json.decode(b'{"origin":"http://example.org/x"}', type=ServiceProfile)


# From data


def test_data_changes_what_it_names_and_nothing_else() -> None:
    profile = DUCKDUCKGO_2025_04.updated(
        {
            "identity": {"user_agent": "my-program/1.0", "sec_ch_ua": ""},
            "chat_headers": {"user-agent": "{user_agent}", "x-fe-signals": "e30="},
            "page_headers": [["user-agent", "{user_agent}"], ["accept", "*/*"]],
            "models": [{"id": "gpt-5", "aliases": ["five"]}],
            "minimum_interval": 3,
        }
    )
    assert profile == changed(
        identity=Identity(user_agent="my-program/1.0", sec_ch_ua=""),
        chat_headers=(("user-agent", "{user_agent}"), ("x-fe-signals", "e30=")),
        page_headers=(("user-agent", "{user_agent}"), ("accept", "*/*")),
        models=(Model("gpt-5", ("five",)),),
        minimum_interval=3.0,
    )


def test_allowed_hosts_follow_from_another_origin_where_none_are_named() -> None:
    assert DUCKDUCKGO_2025_04.updated({}).allowed_hosts == DUCKDUCKGO_2025_04.allowed_hosts
    assert DUCKDUCKGO_2025_04.updated({"origin": "https://example.org"}).allowed_hosts == ()
    named = DUCKDUCKGO_2025_04.updated({"origin": "https://example.org", "allowed_hosts": ["a.example"]})
    assert named.allowed_hosts == ("a.example",)


def test_a_profile_as_data_is_the_profile() -> None:
    data = msgspec.to_builtins(DUCKDUCKGO_2025_04)
    assert changed(label="another", origin="https://duck.ai").updated(data) == DUCKDUCKGO_2025_04


@each_of(
    "data, said",
    [
        ({"orign": "https://duck.ai"}, "there is no key `orign`"),
        ({"origin": "http://example.org"}, "plain http is for loopback addresses only"),
        ({"models": [{"id": 3}]}, "got `int` - at `models[0].id`"),
        ({"models": [{"id": "a", "alias": []}]}, "there is no key `alias` in `models[0]`"),
        ({"models": [{"name": "a"}]}, "`id` is missing in `models[0]`"),
        ({"identity": {"agent": "a"}}, "there is no key `agent` in `identity`"),
        ({"chat_headers": {"accept": 1}}, "got `int` - at `chat_headers[0][1]`"),
        ({"chat_headers": {"Accept": "a"}}, "chat_headers: 'Accept' is not a header name in lower case"),
        ({"answer_style": "loud"}, "'loud' - at `answer_style`"),
        ({"or\x1b[31m": 1}, "there is no key `or\\x1b[31m`"),
    ],
)
def test_data_that_is_no_profile_is_refused_by_the_name_of_its_key(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        DUCKDUCKGO_2025_04.updated(data)
    assert str(caught.value).isprintable()


def test_a_cookie_that_no_jar_keeps_is_refused() -> None:
    with pytest.raises(ValueError, match="cookies: 'a' is longer than 4096 bytes"):
        ServiceProfile(cookies=(("a", "x" * 4096),))
    assert ServiceProfile(cookies=(("a", "x" * 4095),)).cookies == (("a", "x" * 4095),)
