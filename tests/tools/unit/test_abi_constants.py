# SPDX-License-Identifier: MIT
"""tools/abi-constants: which names its CMake script takes out of a header."""

import unittest

import support

HEADER = """\
/* #define AUKLET_NOT_THIS 1, struct auklet_nor_this { __u32 word; } **/
#ifndef AUKLET_GUARD_H
#define AUKLET_GUARD_H
#define AUKLET_ONE 1
#define AUKLET_SIZE\t(AUKLET_ONE * 2) /* AUKLET_HERE 3 */
#define OTHER 4
struct auklet_cpu {
\t__u32 state;\t/* a word; not a field */
\t__u64 pending[2];
\t__u32 reserved[5];
};
struct other { __u32 field; };
#endif
"""
NAMES = """\
CONSTANT(ONE)
CONSTANT(SIZE)
STRUCTURE_BEGIN(auklet_cpu, CPU)
FIELD(auklet_cpu, state)
FIELD(auklet_cpu, pending)
STRUCTURE_END(auklet_cpu, CPU)
"""


class ExtractNamesTest(support.Folder):
    def extract(self, header):
        output = self.folder / "names.inc"
        script = support.ROOT / "tools/abi-constants/extract-names.cmake"
        result = self.run_tool("cmake", f"-DHEADER={header}", f"-DOUTPUT={output}", "-P", script)
        return result, output

    def test_names(self):
        result, output = self.extract(self.write("host.h", HEADER))
        self.assertEqual((result.returncode, output.read_text()), (0, NAMES), result.stderr)

    def test_header_that_is_not_there(self):
        result, output = self.extract(self.folder / "none.h")
        self.assertNotEqual(result.returncode, 0)
        self.assertFalse(output.exists())


if __name__ == "__main__":
    unittest.main()
