"""How hypothesis is used here."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no mistake of the code's.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
