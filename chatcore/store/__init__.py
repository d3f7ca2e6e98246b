"""What must outlive a node: Redis or Valkey, through txredisapi.

Only this room imports txredisapi, and `chatcore.store.connection` alone: importing it brings
Twisted's reactor with it. So whoever needs a store imports `chatcore.store.redis` late; the URL can
be looked at (`chatcore.store.place`) without it.
"""
