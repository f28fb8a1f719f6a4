"""Bodies that are no replies, blanked: known words and the marks of JSON stay, and what a session reads in them."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.tiers import examples

from ddg_protocol import DUCKDUCKGO_2025_04
from ddg_protocol.handshake import read_notice, read_version
from ddg_protocol.refusal import service_error
from ddg_protocol.testing import Chunking, strategies
from ddg_protocol.transcript._texts import BodyTexts, ReplyTexts, blank_version

PROFILE = DUCKDUCKGO_2025_04
PAGE = b'<p>hush</p>a.__DDG_BE_VERSION__="serp_2-0-EN";b.__DDG_FE_CHAT_HASH__="a7{[1-";hush'


def blanked(body: bytes) -> bytes:
    return BodyTexts(PROFILE).feed(body)


@each_of(
    "body, shown",
    [
        (b"", b""),
        (b"<p>hush, hush</p>\n", b"xxxxxxx, xxxxxxxx\n"),
        (
            b'{"action":"error","status":429,"type":"ERR_USER_LIMIT"}',
            b'{"action":"error","status":429,"type":"ERR_USER_LIMIT"}',
        ),
        (b'{"status":"2","hush":"typed retype"}', b'{"status":"2","xxxx":"xxxxx xxxxxx"}'),
        (b'{"status" : 42917, "n": [true, 0.05, -170, 2e3]}', b'{"status" : 42911, "x": [true, 0.11, -111, 1e1]}'),
        (b'\x80\xe9 {"hush": null}', b'xx {"xxxx": null}'),
        (b'{"status":"\xff"}', b'{"status":"\xff"}'),
        (b'"a\\n\\u00e9\\ud83D\\uDE00\\q"', b'"x\\n\\u0078\\ud800\\udc00xx"'),
        (b'"\\ud70a"', b'"\\ud000"'),
        (b"<title>Just a moment...</title>", b"xxxxxxxJust a moment...xxxxxxxx"),
        (b"x=cf_chl_hush", b"xxcf_chl_xxxx"),
        (PAGE, b'xxxxxxxxxxxx.__DDG_BE_VERSION__="xxxxxx-x-xx"xx.__DDG_FE_CHAT_HASH__="xxxxx-"xxxxx'),
    ],
)
def test_a_body_keeps_known_words_and_its_form(body: bytes, shown: bytes) -> None:
    assert blanked(body) == shown
    assert blanked(shown) == shown


@given(
    st.sampled_from(
        (PAGE, b'{"status":"1"}', b'hush {"action":"error","status":503,"type":"ERR_BN_LIMIT","a":"\\ud83d"}')
    ),
    strategies.chunkings(),
)
def test_a_body_is_read_as_before_however_it_is_cut(body: bytes, chunking: Chunking) -> None:
    texts = BodyTexts(PROFILE)
    shown = b"".join(texts.feed(chunk) for chunk in chunking(body))
    assert len(shown) == len(body)
    assert shown.count(b"\\ud800") == body.count(b"\\ud83d")
    assert read_version(shown, PROFILE) == blank_version(read_version(body, PROFILE))
    assert read_notice(shown) == read_notice(body)
    before, after = service_error(403, body), service_error(403, shown)
    assert (type(before), before.status, before.type) == (type(after), after.status, after.type)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=1),
        max_leaves=9,
    ).map(lambda value: [value])
)
@settings(max_examples=examples(100), deadline=None)
def test_blanked_json_is_json_of_the_same_form(value: list[object]) -> None:
    text = json.dumps(value)
    assert _form(json.loads(blanked(text.encode()))) == _form(value)
    line = ReplyTexts().feed(f'data: {{"a":{text}}}\n\n'.encode())
    assert _form(list(json.loads(line[6:]).values())) == _form([value])


def _form(value: object) -> object:
    match value:
        case dict():
            return dict, [_form(each) for each in value.values()]
        case list():
            return [_form(each) for each in value]
    return value if isinstance(value, bool) else type(value)


def test_a_version_is_blanked_as_its_page_is() -> None:
    assert blank_version(read_version(PAGE, PROFILE)) == read_version(blanked(PAGE), PROFILE) == "xxxxxx-x-xx-xxxxx-"
