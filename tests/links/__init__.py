"""Tests of the links between nodes, and of the small clocks and writers under them."""
