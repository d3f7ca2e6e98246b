"""Which nodes there are, and which of them owns what."""
