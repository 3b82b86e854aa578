"""One machine as a cluster: object store, node and the two job controllers, for `cupola run`.

Layout of a work directory:

    lock                                     held by the `cupola run` that uses it
    objects/<kind>/<namespace>/<name>.yaml   every object, as it stands
    events.jsonl                             the newest Events
    pods/<namespace>/<pod>-<uid8>/           what a pod mounts, and how it ended
    logs/<namespace>/<pod>.log               what a pod printed
    store/                                   what store:/// stands for
"""
