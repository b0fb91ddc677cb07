"""What a run leaves in its folder: read and written here."""
