"""The ``stead server`` process: brings its parts together, and takes them down again."""
