"""A Kubernetes cluster on one machine, in namespaces of its own: for developers and for e2e tests."""
