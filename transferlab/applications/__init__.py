"""Applications: what one chapter uses, each in a file of its own with its data and its network."""
