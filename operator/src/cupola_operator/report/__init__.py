"""The report of a resource as one HTML page. Pure: from evidence that was read to text."""
