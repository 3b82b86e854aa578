"""What a person, a file or a machine may do wrong, and what is said about it."""
