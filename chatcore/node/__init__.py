"""One server, assembled from the parts."""

from chatcore.node.assembly import SECTIONS, Node

__all__ = ["SECTIONS", "Node"]
