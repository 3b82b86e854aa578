"""Filters: which documents stay, each rule a function over a batch of documents."""
