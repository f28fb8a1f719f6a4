"""Options that need not be given each time: the configuration file, the environment, `ddg-chat config`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddg_chat import _settings
from ddg_chat.main import main
from ddg_protocol.service import Service
from ddg_transports.emulator import Emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Service(responder=lambda question: [f"You asked: {question.text}"])) as running:
        yield running


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def model_asked(emulator: Emulator) -> str:
    model = json.loads(emulator.service.log[-1].request.body)["model"]
    assert isinstance(model, str)
    return model


def test_an_option_goes_over_the_environment_which_goes_over_the_file(
    emulator: Emulator, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(config_file, f'model = "o3-mini"\nbase-url = "{emulator.url}"\n')
    assert main(["ask", "Why?"]) == 0
    assert model_asked(emulator) == "o3-mini"
    monkeypatch.setenv("DDG_CHAT_MODEL", "claude-3-haiku")
    assert main(["ask", "Why?"]) == 0
    assert model_asked(emulator) == "claude-3-haiku-20240307"
    assert main(["ask", "Why?", "--model", "gpt-4o-mini"]) == 0
    assert model_asked(emulator) == "gpt-4o-mini"


def test_an_emulator_of_its_own_goes_over_the_address_of_the_file(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config_file, 'base-url = "http://127.0.0.1:1"\n')
    assert main(["ask", "Why?", "--emulator"]) == 0
    assert "emulator" in capsys.readouterr().out


def test_what_is_on_in_the_file_can_be_turned_off(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ask", "Why?", "--emulator", "--fault", "chat:event=garbage"]
    assert main(arguments) == 0
    write(config_file, "strict = true\n")
    assert main(arguments) == 76
    assert main([*arguments, "--no-strict"]) == 0
    monkeypatch.setenv("DDG_CHAT_STRICT", "off")
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("modl = 'x'", "there is no setting 'modl'; there are model, "),
        ("timeout = 0", "timeout: must be a number of seconds above 0"),
        ("timeout = [1]", "timeout: must be a number of seconds above 0"),
        ("color = 'mauve'", "color: must be true or false, not 'mauve'"),
        ("color = 7", "color: must be true or false, not '7'"),
        ("revision = '1999'", "revision: '1999' is none of 2025-04, "),
        ("base-url = 'http://example.org'", "base-url: "),
        ("model =", "it is not TOML: Invalid value"),
        ("a = " + "[" * 5000, "nested too deeply"),
    ],
)
def test_a_file_that_can_t_be_used_says_where(
    written: str, said: str, config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config_file, written)
    assert main(["ask", "Why?", "--emulator"]) == 74
    err = capsys.readouterr().err
    assert err.startswith(f"ddg-chat: {config_file}: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_file_in_another_encoding_says_so(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(config_file, "")
    config_file.write_bytes(b"model = '\xff'")
    assert main(["ask", "Why?", "--emulator"]) == 74
    assert capsys.readouterr().err.startswith(f"ddg-chat: {config_file}: ")


def test_a_variable_that_can_t_be_understood_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DDG_CHAT_RETRIES", "often")
    assert main(["ask", "Why?", "--emulator"]) == 2
    assert capsys.readouterr().err.startswith("ddg-chat: DDG_CHAT_RETRIES: must be a whole number")


def test_an_empty_variable_is_none(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDG_CHAT_MODEL", "")
    assert main(["ask", "Why?", "--base-url", emulator.url]) == 0


def test_help_is_there_whatever_the_file_has(config_file: Path) -> None:
    write(config_file, "nonsense")
    with pytest.raises(SystemExit, match="0"):
        main(["ask", "--help"])


def test_without_platformdirs_there_is_no_file(
    emulator: Emulator, config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config_file, "nonsense")
    monkeypatch.setitem(__import__("sys").modules, "platformdirs", None)
    monkeypatch.setenv("DDG_CHAT_MODEL", "o3-mini")
    assert main(["ask", "Why?", "--base-url", emulator.url]) == 0
    assert model_asked(emulator) == "o3-mini", "the environment counts all the same"
    assert main(["config"]) == 0
    assert capsys.readouterr().out.partition("\n")[2].startswith("# no file is read: that needs platformdirs")


def test_config_shows_what_is_set_and_where(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config_file, 'timeout = 120\nmodel = "o3-mini"\ncolor = false\n')
    monkeypatch.setenv("DDG_CHAT_MODEL", "gpt-4")
    assert main(["config"]) == 0
    out = capsys.readouterr().out
    first, *lines = out.splitlines()
    assert first == f"# {config_file}"
    shown = {line.split(" = ")[0]: line.split()[2:] for line in lines if not line.startswith("#")}
    assert shown == {
        "model": ['"gpt-4"', "#", "DDG_CHAT_MODEL"],
        "timeout": ["120.0", "#", "the", "file"],
        "color": ["false", "#", "the", "file"],
    }
    assert tomllib.loads(out) == {"model": "gpt-4", "timeout": 120.0, "color": False}, "it can be stored as a file"
    assert main(["config", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["file"] == str(config_file)
    assert found["settings"]["model"] == {"value": "gpt-4", "source": "DDG_CHAT_MODEL"}


def test_a_variable_that_sets_nothing_is_named_with_the_nearest_that_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DDG_CHAT_MODL", "o3-mini")
    monkeypatch.setenv("DDG_CHAT_XYZZY", "1")
    assert main(["config"]) == 0
    out, err = capsys.readouterr()
    near, far = (
        f"{name} is in the environment, but there is no such setting" for name in ("DDG_CHAT_MODL", "DDG_CHAT_XYZZY")
    )
    near, far = f"{near}; did you mean DDG_CHAT_MODEL?", f"{far}; ddg-chat config lists the settings"
    assert out.endswith(f"# {near}\n# {far}\n")
    assert err == ""
    assert main(["models"]) == 0
    assert capsys.readouterr().err == f"ddg-chat: {near}\nddg-chat: {far}\n"
    monkeypatch.setenv("DDG_CHAT_QUIET", "true")
    assert main(["models"]) == 0
    assert capsys.readouterr().err == ""


def test_a_model_that_there_is_not_is_said_to_be_in_the_file(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config_file, "model = 'gpt-9'")
    for command in (["ask", "Why?"], ["chat"]):
        assert main([*command, "--emulator"]) == 2
        assert capsys.readouterr().err.startswith(f"ddg-chat: {config_file}: model: no model is called 'gpt-9'; ")
    assert main(["ask", "Why?", "--emulator", "--model", "gpt-8"]) == 2
    assert capsys.readouterr().err.startswith("ddg-chat: no model is called 'gpt-8'; ")
    monkeypatch.setenv("DDG_CHAT_MODEL", "gpt-7")
    assert main(["ask", "Why?", "--emulator"]) == 2
    assert capsys.readouterr().err.startswith("ddg-chat: DDG_CHAT_MODEL: no model is called 'gpt-7'; ")


def test_config_shows_no_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DDG_CHAT_PROXY", "http://me:secret@h:1")
    for options in ([], ["--json"]):
        assert main(["config", *options]) == 0
        out = capsys.readouterr().out
        assert "http://***@h:1" in out
        assert "secret" not in out


def test_every_setting_is_an_option_that_can_be_left_out() -> None:
    settable = _settings.known()
    assert {"model", "base_url", "timeout", "color", "stream", "system", "clipboard"} <= {
        each.dest for each in settable
    }
    assert all(action.default is None for action in settable)
