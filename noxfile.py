"""What the gate checks, a session each: `nox`, or `nox -s tests-3.12`.

A Python that isn't installed here is named and skipped; none is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import nox

nox.options.default_venv_backend = "venv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests"]

# Those that the classifiers claim, and the free-threaded build of the last.
PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
PYTHONS.append(f"{PYTHONS[-1]}t")

if shutil.which("pyenv"):  # its shims find the chosen versions only: choose all
    listed = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True, check=True).stdout
    os.environ["PYENV_VERSION"] = ":".join(reversed(listed.split()))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the default tier, or what is named after `--`."""
    session.install("-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session
def deep(session: nox.Session) -> None:
    """Run all that is exhaustive too."""
    session.install("-e", ".[dev]")
    # So that it leaves urllib3 alone: examples/over_niquests.py
    session.install("--no-binary", "urllib3-future", "niquests", env={"URLLIB3_NO_OVERRIDE": "1"})
    session.run("pytest", "--deep", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of everything."""
    session.install("-e", ".[dev]")
    session.run("mypy")
    for platform in ("darwin", "win32"):
        session.run("mypy", "--platform", platform, "ddg_protocol", "transports/ddg_transports", "ddg_chat")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site, in docs/_build."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "-n", "docs", "docs/_build")
