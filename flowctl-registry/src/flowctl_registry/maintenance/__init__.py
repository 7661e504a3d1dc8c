"""What an operator runs beside the service: gc, fsck, backup, restore, retention."""
