// SPDX-License-Identifier: MIT
// Prints the TypeScript form of uapi/asm/host.h: every constant, and the offset of every field of every structure.
//
// The compiler computes all values. Only the names come from outside (names.inc, extracted from the header by
// extract-names.cmake), because a C++ program cannot enumerate macros and members.

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
