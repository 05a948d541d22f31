#!/usr/bin/env python3
"""results.py FILE.xml: counts a JUnit file of ctest or pytest: prints "PASSED FAILED SKIPPED".

A `check` program is one test for ctest but says itself how many checks it ran; these are
counted. Each failure is a line on stderr. A file that is missing or broken is one failure.
"""
import re
import sys
import xml.etree.ElementTree as tree

CHECKS = re.compile(r"(\d+)%: Checks: (\d+), Failures: (\d+), Errors: (\d+)")


def count_case(case):
    """(passed, failed, skipped, complaints) of one test case."""
    name = "%s::%s" % (case.get("classname", ""), case.get("name", ""))
    bad = case.find("failure") is not None or case.find("error") is not None
    if case.find("skipped") is not None or case.get("status") in ("disabled", "notrun"):
        return 0, 0, 1, []
    found = CHECKS.findall(case.findtext("system-out") or "")
    checks = sum(int(f[1]) for f in found)
    failed = sum(int(f[2]) + int(f[3]) for f in found)
    if bad:
        failed = max(failed, 1)
        return max(checks - failed, 0), failed, 0, [name]
    return max(checks - failed, 0) or 1, 0, 0, []


def main(path):
    passed = failed = skipped = 0
    try:
        for case in tree.parse(path).getroot().iter("testcase"):
            p, f, s, complaints = count_case(case)
            passed, failed, skipped = passed + p, failed + f, skipped + s
            for c in complaints:
                print("  failed: " + c, file=sys.stderr)
    except (OSError, tree.ParseError) as e:
        print("  no results in %s: %s" % (path, e), file=sys.stderr)
        failed += 1
    print(passed, failed, skipped)


main(sys.argv[1])
