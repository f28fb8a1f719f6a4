"""What helps to test drivers and transports: a scripted peer, and the contract that every transport is held to."""
