"""The script of a challenge: read as a browser would run it, or refused with the place."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.cases import each_of
from support.scripts import BRANDS, quoted, script
from support.tiers import examples, thinned

from ddg_protocol.challenge import Challenge, parse_server_hashes, read_script
from ddg_protocol.errors import UnsupportedChallenge

SECONDS = 30  # where the time isn't linear it is hours

SPACES = st.text(" \t\v\f\n\r\u2028\u00a0\ufeff\u3000", max_size=3)
COMMENTS = st.sampled_from(["", "/* ; } */", "/*\n*/", "// it's\n", "//\u2028", "/***/"])
#: Where no line end may stand: before `=>`, after `return`.
SAME_LINE = st.sampled_from([" ", "\t", "/* */", "\u00a0 /**/"])


@st.composite
def challenges(draw: st.DrawFn) -> tuple[str, Challenge]:
    """A script in any spelling, and what it says."""

    def gap() -> str:
        return draw(SPACES) + draw(COMMENTS) + draw(SPACES)

    def quoting(text: str) -> str:
        return draw(st.sampled_from([f"'{text}'", f'"{text}"']))

    def name() -> str:
        return draw(st.from_regex(r"[a-zA-Z_$][a-zA-Z0-9_$]{3,6}x", fullmatch=True))

    def joined(*tokens: str) -> str:
        return gap().join(tokens)

    hashes = draw(st.lists(st.text("abcXYZ019+/=", max_size=44), max_size=5))
    html = draw(st.text(alphabet=st.characters(), max_size=40))
    offset = draw(st.integers(-(2**31), 2**31))
    sign = "-" if offset < 0 else draw(st.sampled_from(["", "+"]))
    number = draw(st.sampled_from([str(abs(offset)), hex(abs(offset)), oct(abs(offset)), bin(abs(offset))]))
    element, brand = name(), name()
    length = (element, ".", "innerHTML", ".", "length")
    total = draw(
        st.sampled_from([joined(sign, number, "+", *length), joined(*length, "+", " " + sign, number)])
        if offset >= 0
        else st.sampled_from([joined("-", number, "+", *length), joined(*length, "-", number)])
    )
    parameter = draw(st.sampled_from([brand, joined("(", brand, ")")]))
    template = f'`"${{{brand}.brand}}";v="${{{brand}.version}}"`'
    brands = joined(
        *("navigator", ".", "userAgent", "+", "(", "navigator", ".", "userAgentData", "?", "navigator", "."),
        *("userAgentData", ".", "brands", ".", "map", "(", parameter + draw(SAME_LINE) + "=>", template, ")", "."),
        *("join", "(", quoting(", "), ")", ":", quoting(""), ")"),
    )
    end = draw(st.sampled_from([";", "\n", ";;"]))
    fingerprint = joined(
        *("(", "function", draw(st.sampled_from(["", " " + name()])), "(", ")", "{"),
        *(draw(st.sampled_from(["const ", "let ", "var "])) + element, "=", "document", ".", "createElement", "("),
        *(quoting("div"), ")", end, element, ".", "innerHTML", "=", quoted(html), end),
        *("return" + draw(SAME_LINE) + "String", "(", total, ")", draw(st.sampled_from(["", ";"])), "}"),
        *draw(st.sampled_from([(")", "(", ")"), ("(", ")", ")")])),
    )
    members = [
        joined("server_hashes", ":", "[", ",".join(joined(quoting(h)) for h in hashes), "]"),
        joined(quoting("client_hashes"), ":", "[", brands, ",", fingerprint, "]"),
        joined("signals", ":", "{", "}"),
    ]
    text = joined(
        *(draw(st.sampled_from(["", "const result =", "var r ="])), "(", "function", "(", ")", "{"),
        *("return" + draw(SAME_LINE) + "{", joined(",").join(draw(st.permutations(members)))),
        *(draw(st.sampled_from(["", ","])), "}", draw(st.sampled_from(["", ";"])), "}", ")", "(", ")"),
        draw(st.sampled_from(["", ";"])),
    )
    paired = html.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return text, Challenge(tuple(hashes), paired, offset)


def refusal_of(text: str) -> UnsupportedChallenge | None:
    try:
        read_script(text)
    except UnsupportedChallenge as refused:
        return refused
    return None


@settings(max_examples=examples(300))
@given(challenges())
def test_what_was_put_into_a_script_is_read_back(case: tuple[str, Challenge]) -> None:
    text, said = case
    assert read_script(text) == said
    assert parse_server_hashes(text) == list(said.server_hashes)


@settings(max_examples=examples(300))
@given(challenges(), st.integers(0, 2000), st.integers(0, 30), st.text(max_size=8))
def test_a_mutated_script_is_read_or_refused(case: tuple[str, Challenge], at: int, cut: int, new: str) -> None:
    text = case[0][:at] + new + case[0][at + cut :]
    refused = refusal_of(text)
    if refused:
        assert refused.position is not None
        assert 0 <= refused.position <= len(text)
        assert refused.expected
        assert str(refused).isprintable()


@settings(deadline=None)
@given(st.text())
@example("\ud800")
def test_random_text_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedChallenge):
        read_script(text)


@each_of(
    "changed",
    [
        script().replace("  return {", "  return\n{"),
        script().replace("return String", "return/*\n*/String"),
        script().replace("brand =>", "brand\n=>"),
        script().replace("const e", "const String").replace("e.innerHTML", "String.innerHTML"),
        script().replace("(function () {", "(function navigator() {"),
        script().replace("(function(){", "(function document(){"),
        script().replace("e.innerHTML =", "e.innerHTML +="),
        script().replace("e.innerHTML =", "f.innerHTML ="),
        script().replace("e.innerHTML = ", "e.outerHTML = "),
        script().replace("'div'", "'p'"),
        script().replace(";e.innerHTML", " e.innerHTML"),
        script(total="010 + e.innerHTML.length"),
        script(total="1e3 + e.innerHTML.length"),
        script(total="1_0 + e.innerHTML.length"),
        script(total="9007199254740992 + e.innerHTML.length"),
        script(total="9" * 5000 + " + e.innerHTML.length"),
        script(total="e.innerHTML.length--5"),
        script(total="e.innerHTML.length ++5"),
        script(total="e.innerHTML.length * 5"),
        script(total="1 - e.innerHTML.length"),
        script().replace("const e", "e"),
        script(signals="{a: 1}"),
        script(server='["a",,"b"]'),
        script(server='["a" "b"]'),
        script().replace("],\n  client", "]\n  client"),
        script(total="0b" + "1".zfill(59) + " + e.innerHTML.length"),  # more digits than any number needs
        script(server='["\\u0007"]'),
        script(brands="navigator.userAgent"),
        script(brands=BRANDS.replace("', '", "','")),
        script(brands=BRANDS.replace(".version", ".fullVersion")),
        script().replace("signals", "__proto__"),
        script(members="server_hashes: [], server_hashes: [], signals: {}"),
        script(members=""),
        script() + "()",
        script() + "<!-- x",
        script() + " /*",
        script().replace("function () {", "function (a) {"),
        script().replace("const e", "const class").replace("e.innerHTML", "class.innerHTML"),
        "",
    ],
)
def test_what_would_mean_something_else_in_a_browser_is_refused(changed: str) -> None:
    assert read_script(script()).offset == 101
    with pytest.raises(UnsupportedChallenge):
        read_script(changed)


@pytest.mark.parametrize(
    "spelled",
    [
        script().replace("brand =>", "(brand) =>"),
        script().replace(";e.innerHTML", "\ne.innerHTML"),
        script().replace(";e.innerHTML", ";;e.innerHTML"),
        script(total="e.innerHTML.length + 101"),
        script(total="e.innerHTML.length + 0x65"),
        script(total="0b" + f"{101:058b} + e.innerHTML.length"),
        script().replace("})()],", "})(),],"),
    ],
)
def test_what_is_only_spelled_otherwise_means_the_same(spelled: str) -> None:
    assert read_script(spelled) == read_script(script())
    assert parse_server_hashes(spelled) == ["aGFzaA=="]


def test_a_number_may_be_taken_away() -> None:
    assert read_script(script(total="e.innerHTML.length - 101")).offset == -101
    assert read_script(script(total="e.innerHTML.length - 9007199254740991")).offset == 1 - 2**53


def test_a_refusal_says_where_and_what_was_expected() -> None:
    text = script().replace("String(", "Number(")
    with pytest.raises(UnsupportedChallenge, match=r"line 4, column .*: expected `String`, found a name") as refused:
        read_script(text)
    assert refused.value.position == text.index("Number(")
    assert refused.value.expected == "`String`"


@each_of(
    "text, line, column, expected",
    [
        ("x", 1, 1, "`(`"),
        ("\n  x", 2, 3, "`(`"),
        ("\n\n  x", 3, 3, "`(`"),
        ("(function () {\n return\nx", 3, 1, "a value on the line of `return`"),
        # What was read already is refused where it begins.
        ("(function(){return {x: 1", 1, 21, "`client_hashes` or `server_hashes` or `signals`"),
        ("(function(){return {signals: {}, 'signals'", 1, 34, "`client_hashes` or `server_hashes`"),
        ("(function(){return {server_hashes: ['a', 'é'", 1, 42, "a hash in base64"),
        (script().replace("'div'", "\n'p'"), 5, 1, "`'div'`"),
        (script().replace("e.innerHTML =", "\nf.innerHTML ="), 5, 1, "the name of the `div`"),
        ("(function(){return {signals: {}}", 1, 32, "`client_hashes` and `server_hashes`"),
        (script(signals="{},\n x: 1"), 6, 2, "`}`"),
    ],
)
def test_a_refusal_gives_line_and_column_from_1(text: str, line: int, column: int, expected: str) -> None:
    with pytest.raises(UnsupportedChallenge) as refused:
        read_script(text)
    assert f"at line {line}, column {column}: expected {expected}, found" in str(refused.value)
    assert refused.value.expected == expected
    lines = text.split("\n")
    assert refused.value.position == sum(len(each) + 1 for each in lines[: line - 1]) + column - 1


@each_of(
    "changed, said",
    [
        (script().replace("return String(", "return 'aGFzaGFzaGFzaGFzaGFzaGFz'("), "found a string of 24 characters"),
        (script().replace("return String(", "return 123456("), "found a number of 6 characters"),
        (script().replace("return String(", "return secret("), "found a name"),
        (script().replace("return String(", "return while("), "found `while`"),
        (script().replace("return String(", "return ]("), "found `]`"),
        (script().replace("return String(", "return #("), "found a character that begins nothing"),
        (script() + "secret", "expected the end of the script, found a name"),
        ("(function", "expected a name, found its end"),
        (script(total="e.innerHTML.length * 5"), "expected `+` or `-`, found a character that begins nothing"),
    ],
)
def test_a_refusal_says_what_kind_of_thing_was_found(changed: str, said: str) -> None:
    with pytest.raises(UnsupportedChallenge) as refused:
        read_script(changed)
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_bad_escape_is_refused_where_it_stands() -> None:
    text = script().replace("'<p>'", "'<p>\\u12'")
    with pytest.raises(UnsupportedChallenge) as refused:
        read_script(text)
    assert refused.value.position == text.index("\\u12")


@each_of(
    "text, form",
    [
        ("<!DOCTYPE html><html><title>Just a moment...</title>", "an HTML page"),
        ('{"action":"error","status":418}', "a JSON document"),
        ("[1]", "a JSON document"),
        (" " * 1022 + "[1]", "a JSON document"),
        (" " * 1023 + "[1]", ""),  # it is looked for in the first 1,024 characters
        ("const _0x1a2b=['a'];(function(_0x3c){})(_0x1a2b)", "an obfuscated script"),
        ("(async function(){const _0x12=1;return {'meta':{'v':'4','x':1}}})()", "an obfuscated script, meta.v 4"),
        ("(function(){return {signals:{},meta: {origin: 'a', v: 3}}})()", "an obfuscated script, meta.v 3"),
        ("", "nothing"),
        ("alert(1)", ""),
    ],
)
def test_other_forms_are_recognised(text: str, form: str) -> None:
    with pytest.raises(UnsupportedChallenge) as refused:
        read_script(text)
    assert refused.value.form == form
    assert form in str(refused.value)


UNITS = [
    " ",
    "\n",
    "//",
    "/*",
    "/**/",
    "(",
    "'",
    "'\\",
    "`",
    "`${",
    "a",
    "1",
    "meta:{",
    "meta:{v",
    "_0x",
    "\u2028",
    "\\",
]


@pytest.mark.parametrize("unit", thinned(UNITS, one_in=24, reason="much of each"))
def test_256_kib_of_anything_take_linear_time(unit: str) -> None:
    size = 256 * 1024
    blob = (unit * (size // len(unit)))[:size]
    literal = script(fingerprint=f"(function(){{const e = document.createElement('div');e.innerHTML = '{blob}")
    for text in (blob, script() + blob, "(function () { return {" + blob, literal, script(server="[" + '"",' * 80_000)):
        began = time.process_time()
        refusal_of(text)
        assert time.process_time() - began < SECONDS
