"""A cluster, its controllers, its nodes, and what may go wrong with them, around the real operator."""
