"""Tests of who owns what."""
