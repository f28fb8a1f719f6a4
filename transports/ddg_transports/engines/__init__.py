"""Engines that exist: `sqlite` for the processes of one machine, `valkey` for many machines.

An engine is an object whose ``call`` takes a call of `ddg_protocol.coordination` and returns its result, and a client's
``shared=``. Each is imported when it is used.
"""
