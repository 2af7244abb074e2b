"""For agents without a token: how the machine proves which one it is."""
