"""Published checkpoints: their key names to ours, one file a source."""
