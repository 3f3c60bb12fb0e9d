"""Published models: a checkpoint alone, or a folder with all that belongs to it."""
