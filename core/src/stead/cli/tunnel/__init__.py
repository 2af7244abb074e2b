"""``stead ssh --stdio``: the bytes of one SSH connection, between OpenSSH and the server.

Every connection starts a process of this, so it imports next to nothing; the WebSocket client is a small one
of its own, because a library for it takes longer to import than all the rest to run.
"""
