#!/usr/bin/env python3
"""coverage.py BUILD [--require PERCENT FOLDER...]: lines covered, per folder, from gcov's counts.

Without --require it prints a table. With it, it says which of the folders are below and fails.
"""
import collections
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def lines_of(build):
    """path -> {line: hit}, joined over all objects."""
    lines = collections.defaultdict(dict)
    notes = [os.path.join(d, f) for d, _, fs in os.walk(build) for f in fs if f.endswith(".gcno")]
    for i in range(0, len(notes), 40):
        out = subprocess.run(["gcov", "--json-format", "--stdout"] + notes[i:i + 40],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=build).stdout
        for text in out.splitlines():
            for f in json.loads(text)["files"]:
                path = os.path.relpath(os.path.join(build, f["file"]), ROOT)
                if path.startswith(("server/", "storage/", "replication/")):
                    for line in f["lines"]:
                        n = line["line_number"]
                        lines[path][n] = lines[path].get(n, False) or line["count"] > 0
    return lines


def by_folder(lines):
    sums = collections.defaultdict(lambda: [0, 0])
    for path, seen in lines.items():
        entry = sums[os.path.dirname(path)]
        entry[0] += sum(seen.values())
        entry[1] += len(seen)
    return sums


def main(args):
    build = os.path.abspath(args[0])
    sums = by_folder(lines_of(build))
    percent = {k: 100.0 * hit / max(total, 1) for k, (hit, total) in sums.items()}
    if "--require" in args:
        at = args.index("--require")
        least = float(args[at + 1])
        low = [f for f in args[at + 2:] if f in percent and percent[f] <= least]
        for f in low:
            print("%s: %.1f %% of lines covered, wanted above %g" % (f, percent[f], least))
        return 1 if low else 0
    for folder in sorted(sums):
        print("  %-20s %6.1f %% of %5d lines" % (folder, percent[folder], sums[folder][1]))
    hit, total = (sum(v[i] for v in sums.values()) for i in (0, 1))
    print("  %-20s %6.1f %% of %5d lines" % ("all", 100.0 * hit / max(total, 1), total))
    return 0


sys.exit(main(sys.argv[1:]))
