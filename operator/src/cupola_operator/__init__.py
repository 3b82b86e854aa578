"""The operator of Cupola: the reconciler, its shells, the planner, the ledger and the command line."""
