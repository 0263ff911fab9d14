#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The form of commit messages (CONTRIBUTING.md), of all commits since the rule began that this clone has."""

import pathlib
import re
import subprocess
import sys

# The last commit without the rule.
BASE = "650a860c91af4a9b217781eb904eeabdec635b32"
SUBJECT = 72
BODY = 100


def faults_of(message: str) -> list[str]:
    """What is wrong with a message: a list of sentences."""
    subject, *rest = message.rstrip("\n").split("\n")
    faults = []
    if len(subject) > SUBJECT:
        faults.append(f"the subject has {len(subject)} characters, more than {SUBJECT}")
    if subject.endswith("."):
        faults.append("the subject ends with a full stop")
    if not re.match(r"[^ :]+(, [^ :]+)*: \S", subject):
        faults.append('the subject is not of the form "part: what it does"')
    if ";" in subject:
        faults.append("the subject names two changes")
    if len(rest) < 2 or rest[0] != "" or not any(line.strip() for line in rest):
        faults.append("there is no body behind an empty line: why, and how it was shown")
    faults += [f"a line of {len(line)} characters" for line in rest if len(line) > BODY and " " in line]
    return faults


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=True).stdout

    # A shallow clone does not know where the rule began, and has nothing to look at.
    known = subprocess.run(["git", "-C", root, "cat-file", "-e", BASE], capture_output=True, check=False)
    commits = git("rev-list", "--no-merges", f"{BASE}..HEAD").split() if known.returncode == 0 else []
    failures = []
    for commit in commits:
        message = git("show", "-s", "--format=%B", commit)
        failures += [f"{commit[:12]}: {fault}" for fault in faults_of(message)]
    print("\n".join(failures) or f"{len(commits)} commits")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
