"""One server, assembled from the parts."""

from chatcore.node.assembly import SECTIONS, Node, verify

__all__ = ["SECTIONS", "Node", "verify"]
