"""A frontend's sessions, and the copies that handlers work on."""
