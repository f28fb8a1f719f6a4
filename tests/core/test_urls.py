"""Hosts, as every reader of URLs takes them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cases import each_of

from ddg_protocol.urls import is_host, is_loopback, netloc


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.0.3", "::1", "0:0:0:0:0:0:0:1"])
def test_these_are_this_machine(host: str) -> None:
    assert is_loopback(host)


@each_of("host", ["", "example.org", "128.0.0.1", "::2", "localhost.", "127.1", "0x7f.0.0.1", "[::1]"])
def test_these_are_not_or_not_for_sure(host: str) -> None:
    assert not is_loopback(host)


def test_a_host_and_a_port_are_put_together_as_in_a_url() -> None:
    assert netloc("duck.ai", None) == "duck.ai"
    assert netloc("duck.ai", 443) == "duck.ai:443"
    assert netloc("::1", None) == "[::1]"
    assert netloc("::1", 80) == "[::1]:80"


def test_a_name_is_as_long_as_dns_allows() -> None:
    longest = "a" * 61 + ".b" * 96  # 253 characters
    assert is_host(longest)
    assert not is_host(longest + "a")


@given(st.text(st.sampled_from("abz09-_.:%@/\\[] \nAé") | st.characters(), max_size=20))
def test_a_host_never_holds_what_could_end_it(host: str) -> None:
    if is_host(host):
        assert re.fullmatch(r"[a-z0-9._:-]+", host)
