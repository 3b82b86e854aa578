"""Where artifacts live: what the rest of the trainer knows of storage.

The one package that knows what a URI means. On a disk (`file://`, `pvc://`) all is used in place.
What lies in S3 is brought to a folder below TMPDIR, each file checked against its digest, and what
is made there is put into S3 when it is whole, its manifest last.
"""

from cupola_trainer.storage.folder import (
    check,
    complete,
    copied,
    copied_tree,
    delete,
    discard,
    entries,
    fetch,
    finished,
    forget,
    input_invalid,
    is_sealed,
    open_input,
    publish,
    put,
    read,
    read_manifest,
    workplace,
    write,
)
from cupola_trainer.storage.place import Place, S3Place, place_of, uri_of

__all__ = [
    "Place",
    "S3Place",
    "check",
    "complete",
    "copied",
    "copied_tree",
    "delete",
    "discard",
    "entries",
    "fetch",
    "finished",
    "forget",
    "input_invalid",
    "is_sealed",
    "open_input",
    "place_of",
    "publish",
    "put",
    "read",
    "read_manifest",
    "uri_of",
    "workplace",
    "write",
]
