#!/usr/bin/env python3
"""Write common_passwords.bin from a word list ordered by frequency.

    python3 make_common_passwords.py common-passwords.txt.gz > common_passwords.bin

See README.md beside this file for where the list comes from.
"""

import gzip
import hashlib
import sys
import unicodedata

ENTRIES = 10_000  # the most frequent ones; the rest are caught by length and complexity
PREFIX_BYTES = 6  # 10,000 in 2^48: a false hit for one password in 28 thousand million
LENGTH_MIN = 5  # no policy admits a shorter password


def prepared(line):
    return unicodedata.normalize("NFKC", line).lower()


def main(path):
    chosen = []
    seen = set()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            word = prepared(line.rstrip("\n"))
            if len(word) >= LENGTH_MIN and word not in seen:
                seen.add(word)
                chosen.append(word)
            if len(chosen) == ENTRIES:
                break
    if len(chosen) != ENTRIES:
        sys.exit(f"the list holds only {len(chosen)} usable words")
    prefixes = sorted({hashlib.sha256(w.encode()).digest()[:PREFIX_BYTES] for w in chosen})
    sys.stdout.buffer.write(b"".join(prefixes))


if __name__ == "__main__":
    main(sys.argv[1])
