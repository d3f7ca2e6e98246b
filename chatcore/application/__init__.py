"""What an application is given: `app` for its components, and for its ``configure(app)``."""

from chatcore.application.configurator import Configurator
from chatcore.application.filters import serial, time_log, timeout, too_busy
from chatcore.application.given import Application
from chatcore.application.routes import (
    by_hash,
    by_session,
    by_uid,
    least_active,
    round_robin,
    weighted,
)
from chatcore.links.filters import rpc_log

__all__ = [
    "Application",
    "Configurator",
    "by_hash",
    "by_session",
    "by_uid",
    "least_active",
    "round_robin",
    "rpc_log",
    "serial",
    "time_log",
    "timeout",
    "too_busy",
    "weighted",
]
