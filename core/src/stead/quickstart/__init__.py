"""Shows the main job on this machine: a server, a template, a workspace, a shell."""
