"""What the commands of ``tools/`` can be asked for: options and their command lines. The standard library only."""
