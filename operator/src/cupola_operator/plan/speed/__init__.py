"""How long a step takes on which hardware, and the layout in which it is fastest or cheapest."""
