"""What a model is made of and what that takes: parameters, FLOPs, memory, under a layout."""
