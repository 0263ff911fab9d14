// SPDX-License-Identifier: MIT
// Prints the TypeScript form of uapi/asm/host.h: every constant, the offset of
// every field that is not reserved, and the size of every structure.
//
// The compiler computes all values. Only the names come from names.inc, because
// a C++ program cannot enumerate macros and members. extract-names.cmake writes
// that file from the header.

#include <uapi/asm/host.h>

#include <cstddef>
#include <cstdio>

int main() {
    std::puts("// SPDX-License-Identifier: MIT");
    std::puts(
        "// Generated from kernel/overlay/arch/wasm/include/uapi/asm/host.h by tools/abi-constants. Do not edit.\n");
#define CONSTANT(name) std::printf("export const %s = %lld;\n", #name, static_cast<long long>(AUKLET_##name));
#define STRUCTURE_BEGIN(type, name)                                                                                    \
    std::printf("\n/** Byte offsets in struct %s. */\nexport const %s = {\n", #type, #name);
#define FIELD(type, field) std::printf("  %s: %zu,\n", #field, offsetof(type, field));
#define STRUCTURE_END(type, name) std::printf("} as const;\nexport const %s_SIZE = %zu;\n", #name, sizeof(type));
#include "names.inc"
    return 0;
}
