"""What the control plane and a provisioner process say to each other, over a socket that the process inherits.

The provisioner runs what template authors write, so it is the less trusted end. It gets no key and no database; it gets
a lease, and says by its token alone which job it speaks of. See :mod:`stead.broker` and :mod:`stead.provisioner`.
"""
