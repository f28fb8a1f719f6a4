"""Run commands as outside of this repository: only installed packages are on the path."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

OURS = ("PYTHONPATH", "VIRTUAL_ENV", "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "MYPYPATH")


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command, check that it succeeds, and return its output."""
    environment = {key: value for key, value in os.environ.items() if key not in OURS}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
