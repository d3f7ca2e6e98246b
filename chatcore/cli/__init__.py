"""How people use chatcore from a command line."""
