"""What helps to test drivers, transports and programs: a scripted peer, the contract of transports, the pytest plugin."""
