"""Applications of one chapter, each in its own file with its data and its network."""
