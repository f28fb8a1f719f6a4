"""The command line of ddg-protocol."""
