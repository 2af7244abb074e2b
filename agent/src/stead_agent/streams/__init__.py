"""Parked streams: how the control plane reaches into the workspace."""
