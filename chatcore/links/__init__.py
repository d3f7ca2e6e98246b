"""The AMP connections between nodes.

What crosses them is standard AMP: `chatcore.links.commands` declares it for any stock peer. What
writes and reads it here is leaner than `twisted.protocols.amp`, and held to it by tests.
"""
