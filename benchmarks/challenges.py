"""Part 5: the answer to a challenge, in a process of its own: the first, with what is imported for it, and later ones.

python -m benchmarks.challenges NAME        answers the challenges of standard input, and says how long it took
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from statistics import median
from typing import Any

from benchmarks import clients
from benchmarks.clients import versions
from benchmarks.report import Part, Scale, Table
from ddg_protocol import DUCKDUCKGO_2025_04
from ddg_protocol.service._challenge import Challenge

OURS = "ddg_protocol"
IDENTITY = {
    "User-Agent": DUCKDUCKGO_2025_04.identity.user_agent,
    "sec-ch-ua": DUCKDUCKGO_2025_04.identity.sec_ch_ua,
}


def ours() -> Callable[[str], str]:
    from ddg_protocol.challenge import build_x_vqd_hash_1

    return lambda challenge: build_x_vqd_hash_1(challenge, IDENTITY)


def g4f() -> Callable[[str], str]:
    provider: Any = import_module("g4f.Provider.DDG").DDG
    return lambda challenge: str(provider.build_x_vqd_hash_1(challenge, IDENTITY))


def duckai() -> Callable[[str], str]:
    build: Any = clients.duckai_package("duckai.libs.utils_chat").HashBuilder().build_hash
    lower = {name.lower(): value for name, value in IDENTITY.items()}
    return lambda challenge: str(build(challenge, lower))


ANSWER = {OURS: ours, clients.G4F: g4f, clients.DUCKAI: duckai}


def main() -> None:
    challenges = json.load(sys.stdin)
    times, answers = [], []
    began = time.perf_counter()
    answer = ANSWER[sys.argv[1]]()
    for challenge in challenges:
        try:
            answers.append(answer(challenge))
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")
        now = time.perf_counter()
        times.append(now - began)
        began = now
    print(json.dumps({"first": times[0], "later": median(times[1:]), "answers": answers}))


def run(scale: Scale) -> Part:
    challenges = [Challenge.drawn("benchmark", number) for number in range(scale.challenges)]
    asked = json.dumps([challenge.encoded for challenge in challenges])
    names = [name for name in ANSWER if name == OURS or versions(name) is not None]
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in names}
    for turn in range(scale.rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            command = [sys.executable, "-m", "benchmarks.challenges", name]
            done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, text=True, check=True)
            said = json.loads(done.stdout)
            right = sum(map(is_right, challenges, said["answers"]))
            found[name].append((said["first"], said["later"], right))
    rows: dict[str, list[float | None]] = {}
    for name, rounds in found.items():
        first_one, later, right = (median(each) for each in zip(*rounds, strict=True))
        rows[name] = [first_one * 1e3, later * 1e6, right]
    columns = ["first, with imports, ms", "later, us", f"right, of {scale.challenges}"]
    note = (
        "Right is what Chromium answers. Who can't tell says something all the same; this project refuses what it "
        "doesn't know. g4f's parser gives no body to measure, so that it always sends the same number; duckai runs "
        "a part of the script, in V8, and gives one text where the service of this revision had a list of two."
    )
    return Part("challenge", "Challenge", [Table("Time to an answer", columns, rows)], [], [note])


def is_right(challenge: Challenge, answer: str) -> bool:
    return challenge.is_answered(answer, user_agent=IDENTITY["User-Agent"], brands=IDENTITY["sec-ch-ua"])


if __name__ == "__main__":
    main()
