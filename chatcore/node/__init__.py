"""One server, assembled from the parts."""

from chatcore.node.node import Node
from chatcore.node.sections import SECTIONS
from chatcore.node.verifying import verify

__all__ = ["SECTIONS", "Node", "verify"]
