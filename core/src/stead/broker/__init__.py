"""The control plane's side of provisioner processes: starts them, answers them, takes up what dead ones left.

What they say is checked: form and size in :mod:`stead.protocol`, and here that it concerns a job which was leased to
the very process that says it.
"""
