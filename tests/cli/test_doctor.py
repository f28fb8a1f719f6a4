"""`ddg-chat doctor`: what is installed, and what answers at an address."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from ddg_chat.main import main
from ddg_protocol import __version__
from ddg_protocol.revisions import REVISIONS
from ddg_protocol.service import Service
from ddg_protocol.service.script import fault_from_text
from ddg_transports.emulator import Emulator


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path


def found(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    assert main(["doctor", "--json", *arguments]) == code
    out, err = capsys.readouterr()
    assert err == ""
    read = json.loads(out)
    assert isinstance(read, dict)
    return read


def test_versions_and_files_are_named(data: Path, config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"ddg-protocol {__version__} on Python {sys.version.split()[0]}, ")
    assert f"  {config_file}: is not there, and need not be\n" in out
    assert f"  {data / 'ddg-chat' / 'conversations'}: 0 conversations\n" in out
    assert "service: none was asked" in out


def test_a_part_that_is_missing_is_named_with_what_it_is_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(package: str) -> str:
        if package == "trustme":
            raise metadata.PackageNotFoundError
        return metadata.version(package)

    monkeypatch.setattr("ddg_chat.doctor.version", version)
    assert main(["doctor"]) == 0
    said = "  trustme is missing       https from the emulator: ddg-chat emulate --tls (pip install trustme)\n"
    assert said in capsys.readouterr().out


def test_a_configuration_that_can_t_be_used_is_a_finding(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file.parent.mkdir(parents=True)
    config_file.write_text("modl = 1")
    seen = found(capsys, code=74)
    assert "there is no setting 'modl'" in str(seen["configuration"])
    assert "conversations" in seen, "the rest is there all the same"


@pytest.mark.parametrize("name", REVISIONS)
def test_the_revision_of_a_service_is_found_without_a_question(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(Service(REVISIONS[name])) as emulator:
        service = found(capsys, "--base-url", emulator.url)["service"]
        assert not [exchange for exchange in emulator.service.log if exchange.endpoint == "chat"]
    assert isinstance(service, dict)
    assert (service["answers"], service["revision"]) == (True, name)


def test_the_emulator_of_its_own_speaks_the_revision_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--emulator", "--revision", "2025-07"]) == 0
    assert capsys.readouterr().out.endswith("  answers, and seems to speak revision 2025-07\n")


def test_the_address_of_the_configuration_is_asked(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file.parent.mkdir(parents=True)
    with Emulator() as emulator:
        config_file.write_text(f'base-url = "{emulator.url}"')
        service = found(capsys)["service"]
    assert isinstance(service, dict)
    assert service["address"] == emulator.url


def test_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator() as gone:
        url = gone.url
    assert main(["doctor", "--base-url", url]) == 69
    assert "  doesn't answer: " in capsys.readouterr().out


@pytest.fixture
def strange() -> Iterator[str]:
    """The address of something that answers, and is no such service."""
    script = [fault_from_text(f"{endpoint}:404") for endpoint in ("front_end", "landing", "status", "models")]
    with Emulator(Service(script=script)) as emulator:
        yield emulator.url


def test_something_else_answers(strange: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--base-url", strange]) == 76
    out = capsys.readouterr().out
    assert "  answers, but speaks no revision that is known here:\n" in out
    assert all(f"  {name}: " in out for name in REVISIONS)
