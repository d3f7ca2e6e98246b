"""``chatcore inspect``: what runs, and what passes between it."""
