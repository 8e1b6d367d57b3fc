"""Q networks by name."""
