"""Whom the plugin speaks with in its tests and benchmarks: real providers, and ones that misbehave as they are told."""
