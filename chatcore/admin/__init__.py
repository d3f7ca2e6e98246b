"""What a process answers to those who administer it, and how it is asked."""
