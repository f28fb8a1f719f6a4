"""Run commands as outside of this repository: only installed packages are on the path."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

CERTIFICATES = {key: os.environ[key] for key in ("SSL_CERT_FILE",) if key in os.environ}  # before we set it
OURS = ("SSL_CERT_FILE", "PYTHONPATH", "VIRTUAL_ENV", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "MYPYPATH")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command, check that it succeeds, and return its output."""
    environment = {key: value for key, value in os.environ.items() if key not in OURS} | CERTIFICATES
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
