"""Copies of an emulated service, from which many tests go on."""

from __future__ import annotations

import copy

from ddg_protocol.service import Service
from ddg_protocol.service._log import Log


def copied(service: Service) -> Service:
    """Return another service that has come as far, without its log, which grows with a conversation."""
    shared = (service.profile, service._script)  # which never change
    return copy.deepcopy(service, {id(service._log): Log(), **{id(each): each for each in shared}})
