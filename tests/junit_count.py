"""Prints `passed failed skipped` of a JUnit file that ctest or pytest wrote.

SPDX-License-Identifier: Apache-2.0
"""

import sys
import xml.etree.ElementTree as ElementTree


def verdict(case):
    kinds = {child.tag for child in case}
    if kinds & {"failure", "error"} or case.get("status") == "fail":
        return "failed"
    if "skipped" in kinds or case.get("status") in ("notrun", "disabled"):
        return "skipped"
    return "passed"


def main(path):
    verdicts = [verdict(case) for case in ElementTree.parse(path).iter("testcase")]
    print(*(verdicts.count(kind) for kind in ("passed", "failed", "skipped")))


main(sys.argv[1])
