"""datatrove's four stages of near-dedup on a folder of JSON lines: what stays, CPU, memory, as JSON.

    python peer.py FOLDER SCRATCH

With its defaults: 14 bands of 8 hashes of word 5-grams, clusters by union. Runs in an environment of
its own, see `bench/curation`.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time

from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.utils.logging import logger

BANDS = 14


def main() -> None:
    folder, scratch = sys.argv[1], sys.argv[2] + "/peer"
    logger.remove()
    logging.disable()
    signatures, buckets, removed = (f"{scratch}/{part}" for part in ("s", "b", "r"))
    begun = time.process_time()
    list(MinhashDedupSignature(signatures).run(JsonlReader(folder).run(None, 0, 1), 0, 1) or ())
    for band in range(BANDS):
        list(MinhashDedupBuckets(signatures, buckets).run(None, band, BANDS) or ())
    list(MinhashDedupCluster(buckets, removed).run(None, 0, 1) or ())
    documents = JsonlReader(folder).run(None, 0, 1)
    kept = [one.id for one in MinhashDedupFilter(removed).run(documents, 0, 1)]
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("\n" + json.dumps({"kept": kept, "seconds": seconds, "peak": peak}))


if __name__ == "__main__":
    main()
