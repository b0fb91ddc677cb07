"""Pictures of what a network makes."""
