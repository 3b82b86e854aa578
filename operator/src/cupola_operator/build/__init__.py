"""Kubernetes objects by value, from a World. Pure: the same World gives the same object.

- `run`: the resolved run specs, every default filled in.
- `configmap`: the immutable ConfigMap that holds one, with what it was placed on and at what price.
- `pytorchjob`, `job`: one attempt; `pod` is what their pods have in common.
- `storage`, `resources`, `queue`: what pods need to reach their data, what they take, who admits them.
- `metadata`: labels and the owner reference of every child.
"""
