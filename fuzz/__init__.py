"""Every parser, the session and the wire session under inputs that nobody wrote; README.md beside this says how."""
