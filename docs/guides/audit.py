"""Follows an export of the audit log: python3 audit.py monday.json < log.ndjson

monday.json is what `hoody audit checkpoint` printed, at any time; log.ndjson an export from the beginning.
"""
import hashlib
import json
import struct
import sys


def parts(*fields):
    data = [f if isinstance(f, bytes) else struct.pack(">q", f) if isinstance(f, int) else f.encode() for f in fields]
    return b"".join(struct.pack(">Q", len(field)) + field for field in data)


checkpoint = json.load(open(sys.argv[1]))
link = hashlib.sha256(parts("hoody/audit/1", bytes.fromhex(checkpoint["database_id"]))).digest()
count = 0
for line in sys.stdin:
    row = json.loads(line)
    count += 1
    payload = line[line.index(',"payload":') + len(',"payload":'):].rstrip("\n")[:-1]
    actor = row["actor_id"]
    link = hashlib.sha256(parts(
        link, row["row"], row["position"], row["sequence"], row["at_ms"], row["event_type"],
        bytes.fromhex(row["account_id"]), row["actor_type"], int(actor is not None), bytes.fromhex(actor or ""),
        row["resource_type"], bytes.fromhex(row["resource_id"]), row["realm_ids"], payload)).digest()
    if row["row"] != count or link.hex() != row["link"]:
        sys.exit(f"row {row['row']} is not as it was sealed")
    if row["row"] == checkpoint["rows"] and link.hex() != checkpoint["link"]:
        sys.exit(f"the log up to row {row['row']} is not the one of the checkpoint")
if count < checkpoint["rows"]:
    sys.exit(f"{count} rows are there, the checkpoint has {checkpoint['rows']}")
print(f"whole: {count} rows")
