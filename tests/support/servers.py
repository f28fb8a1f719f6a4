"""Third-party servers on loopback ports: proxies, and a web server in front of an emulator.

Each is a context manager that yields a URL; it skips the test if the server isn't installed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ddg_transports.testing.peer import CERTIFICATES

_PATIENCE = 60.0  # seconds


def free_port() -> int:
    """Return a free port; the system gives it to another program only after all other ports."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def running(
    program: str, arguments: Sequence[str | Path], port: int, log: Path, *, env: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server in the foreground, for a ``with`` block that begins when it accepts connections."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"needs {program}")
    environment = {**os.environ, **(env or {})}
    with (
        log.open("wb") as output,
        subprocess.Popen([found, *arguments], stdout=output, stderr=output, env=environment) as process,
    ):
        try:
            until = time.monotonic() + _PATIENCE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    assert process.poll() is None, f"{program} ended: {log.read_text(errors='replace')}"
                    assert time.monotonic() < until, f"{program} doesn't listen: {log.read_text(errors='replace')}"
                    time.sleep(0.01)
            yield
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def tinyproxy(folder: Path) -> Iterator[str]:
    """Run an HTTP proxy that requires credentials."""
    port = free_port()
    config = folder / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 20\nMaxClients 100\nBasicAuth user secret\n"
        f'PidFile "{folder}/tinyproxy.pid"\nLogLevel Error\n'
    )
    with running("tinyproxy", ["-d", "-c", config], port, folder / "tinyproxy.log"):
        yield f"http://user:secret@127.0.0.1:{port}"


@contextmanager
def dante(folder: Path) -> Iterator[str]:
    """Run a SOCKS server that requires no credentials."""
    port = free_port()
    import pwd  # not every system has it; these servers run on none of the others

    user = pwd.getpwuid(os.getuid()).pw_name
    config = folder / "danted.conf"
    config.write_text(
        f"logoutput: stderr\ninternal: 127.0.0.1 port = {port}\nexternal: 127.0.0.1\n"
        f"clientmethod: none\nsocksmethod: none\nuser.privileged: {user}\nuser.unprivileged: {user}\n"
        "client pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }\nsocks pass { from: 127.0.0.0/8 to: 127.0.0.0/8 }\n"
    )
    with running("danted", ["-f", config, "-p", folder / "danted.pid"], port, folder / "danted.log"):
        yield f"socks5://127.0.0.1:{port}"


@contextmanager
def microsocks(folder: Path) -> Iterator[str]:
    """Run a SOCKS server that requires credentials."""
    port = free_port()
    arguments = ["-i", "127.0.0.1", "-p", str(port), "-u", "user", "-P", "se:cret"]
    with running("microsocks", arguments, port, folder / "microsocks.log"):
        yield f"socks5://user:se%3Acret@127.0.0.1:{port}"


@contextmanager
def nginx(folder: Path, upstream: str, *, tls: bool = False) -> Iterator[str]:
    """Run a web server in front of another, with its default buffering; with TLS it speaks HTTP/2."""
    port = free_port()
    config = folder / "nginx.conf"
    secure = f'ssl_certificate "{CERTIFICATES}/loopback.pem"; ssl_certificate_key "{CERTIFICATES}/loopback.pem";'
    paths = "".join(
        f'{kind}_temp_path "{folder}/{kind}";' for kind in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    )
    config.write_text(
        f'daemon off; master_process off; pid "{folder}/nginx.pid"; error_log stderr; events {{}}\n'
        f'http {{ log_format http $server_protocol; access_log "{folder}/access.log" http; {paths}\n'
        f"  server {{ listen 127.0.0.1:{port}{' ssl http2' if tls else ''}; {secure if tls else ''}\n"
        f"    location / {{ proxy_pass {upstream}; proxy_http_version 1.1; proxy_set_header host $http_host; }}\n"
        "  }\n}\n"
    )
    with running("nginx", ["-c", config, "-e", "stderr", "-p", folder], port, folder / "nginx.log"):
        yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
