"""What the operator says to Prometheus: `table` names it, `process` and `resources` measure it."""
