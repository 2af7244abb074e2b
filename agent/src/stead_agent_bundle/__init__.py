"""Builds the relocatable bundle that runs the agent in any Linux image of its architecture."""
