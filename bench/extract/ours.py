"""Cupola's reader of web archives on a folder: seconds of CPU to read, and to read and extract."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from cupola_trainer.curate import web
from cupola_trainer.curate.records import Record
from cupola_trainer.curate.warc import warc_records

paths = sorted(Path(sys.argv[1]).glob("*.warc.gz"))
begin = time.process_time()
for path in paths:
    for _ in warc_records(path):
        pass
read = time.process_time() - begin
begin = time.process_time()
pages = sum(isinstance(found, Record) for path in paths for found in web.warc(path))
print(json.dumps({"read": read, "chain": time.process_time() - begin, "pages": pages}))
