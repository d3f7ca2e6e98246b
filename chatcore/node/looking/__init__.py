"""What a node tells those who look at it: each kind of question has a module."""
