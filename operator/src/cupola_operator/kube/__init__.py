"""The shell of a cluster: a Kubernetes client behind the seam, one leader, and what is watched.

It decides nothing about resources. `shell` wires the parts together; `client` is the `Cluster`.
"""
