"""chatcore: distributed real-time servers on Twisted that speak Pomelo's client protocol."""

__version__ = "0.1.0"
