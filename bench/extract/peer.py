"""datatrove's reader of web archives and trafilatura on a folder: see ours.py."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress

from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.readers import WarcReader

reader = WarcReader(sys.argv[1], glob_pattern="*.warc.gz", doc_progress=False)
begin = time.process_time()
documents = []
with suppress(Exception):  # of a damaged archive, what comes before
    for document in reader(None, 0, 1):
        documents.append(document)  # noqa: PERF402  those that were read stay
read = time.process_time() - begin
extract = Trafilatura(favour_precision=True).extract
begin = time.process_time()
for document in documents:
    extract(document.text)
chain = read + time.process_time() - begin
print(json.dumps({"read": read, "chain": chain, "pages": len(documents)}))
