"""The API of Cupola: the four kinds, the contract between operator and pods, the artifact manifest.

Everything that two parts of Cupola must agree on is a type in this package, and nothing else is:
it depends on neither the operator nor the trainer, and both depend on it.
"""

GROUP = "cupola.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
