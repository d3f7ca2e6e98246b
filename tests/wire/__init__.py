"""Tests of the codecs: bytes and values, nothing else."""
