"""Everything that is played to both servers."""

from pomelo.scripts import (
    bodies,
    chatting,
    codecs,
    conversation,
    datagrams,
    framing,
    messages,
    sessions,
    signing,
)
from pomelo.scripts.playing import SCRIPTS, Script

__all__ = [
    "SCRIPTS",
    "Script",
    "bodies",
    "chatting",
    "codecs",
    "conversation",
    "datagrams",
    "framing",
    "messages",
    "sessions",
    "signing",
]
