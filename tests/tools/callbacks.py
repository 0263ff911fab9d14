#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Finds calls through pointers in the C library that nobody has looked at: callbacks.py libc.a

WebAssembly traps where a function of another type is called than the call says. What the program hands to the library
is therefore called by the type that it has (arch/wasm32/callback.h of musl's overlay). This goes through the whole
archive: each function with an indirect call must either be one of that mechanism or stand here with what it calls. A
new one, of a patch or of a newer musl, fails until somebody has decided which it is.
"""

import re
import subprocess
import sys

# By the type that the function has, or after __has_shape() has said that it is the one declared.
BY_TYPE = """__call_by_shape qsort_r qsort bsearch lsearch lfind tsearch tfind tdelete"""
# Only functions of the library itself.
OWN = """
# of a stream: read, write, seek and close are the library's, those of fopencookie() call the program's by type
__fclose_ca
__fseeko_unlocked
__ftello_unlocked
__fwritex
__overflow
__stdio_exit_needed
__toread
__uflow
fclose
fflush_unlocked
fread_unlocked
fseeko
ftell
ftello
vfprintf
# main and what the start of a program calls
__libc_start_main
libc_exit_fini
libc_start_init
libc_start_main_stage2
# answers of name servers and of the kernel
__dns_parse
__netlink_enumerate
# what all threads are to do
__synccall
handler
# execve or posix_spawnp's own
child
"""
OBJDUMP = "llvm-objdump-22"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: callbacks.py ARCHIVE")
    known = set(BY_TYPE.split()) | {line.split("#")[0].strip() for line in OWN.splitlines()}
    command = [OBJDUMP, "--disassemble", "--no-show-raw-insn", sys.argv[1]]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    found, file, function = {}, None, None
    for line in output.splitlines():
        if match := re.match(r"^.*\((\S+)\):\s+file format", line):
            file = match[1]
        elif match := re.match(r"^[0-9a-f]+ <(.*)>:$", line):
            function = match[1]
        elif "\tcall_indirect" in line:
            found.setdefault(function, set()).add(file)
    if not found:
        sys.exit("callbacks: no indirect call in the whole archive: was it read?")
    faults = [
        f"{name} ({', '.join(sorted(files))}) calls through a pointer: whose?"
        for name, files in sorted(found.items())
        if name not in known
    ]
    faults += [f"{name} calls nothing through a pointer any more" for name in sorted(known - set(found) - {""})]
    if faults:
        sys.exit("\n".join(f"callbacks: {fault}" for fault in faults))


main()
