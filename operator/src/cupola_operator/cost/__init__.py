"""What a run costs: `ledger`, the one place where time becomes money. Decimal throughout."""
