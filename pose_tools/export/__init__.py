"""Files that other runtimes read, made from checkpoints and checked against them."""
