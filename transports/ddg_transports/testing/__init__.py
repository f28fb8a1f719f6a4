"""Tools to test drivers, transports and programs: a scripted peer, the transport contract, the pytest plugin."""
