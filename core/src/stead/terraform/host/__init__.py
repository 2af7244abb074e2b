"""The built-in ``host`` platform: workspaces as processes on the provisioner's machine, for trying Stead out.

It isolates nobody. A workspace can read and change whatever the user that it runs as can, the files of
other such workspaces and of Stead itself included. It is off unless the setting ``allow_host`` turns it on.
"""
