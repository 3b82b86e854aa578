"""What `cupola plan` answers: for each kind of resource, for a size, for an amount of money."""
