"""``stead ssh --stdio``: the bytes of one SSH connection, between OpenSSH and the server.

Every connection starts a process of this, so this and what it uses imports next to nothing: records are named tuples,
because ``dataclasses`` costs more than all of them, and the WebSocket client is a small one of its own, because a
library for it takes longer to import than all the rest to run.
"""
