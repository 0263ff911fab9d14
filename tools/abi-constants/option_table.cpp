// SPDX-License-Identifier: MIT
// Prints the TypeScript form of host/src/options.inc: the options of boot()
// that are numbers.

#include <uapi/asm/host.h>

#include <cctype>
#include <cstdio>
#include <string>

namespace {

/// Prints a row, with a comment that editors show. `unit` begins with a space,
/// or is empty.
void print_option(const char* name, long long least, long long most, const char* unit, const char* shown,
                  const char* help) {
    std::string sentence = help;
    sentence[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(sentence[0])));
    std::printf("  /** %s, %lld to %lld%s; default: %s. */\n", sentence.c_str(), least, most, unit, shown);
    std::printf("  %s: { least: %lld, most: %lld, unit: \"%s\", shown: \"%s\", help: \"%s\" },\n", name, least, most,
                unit, shown, help);
}

} // namespace

int main() {
    std::puts("// SPDX-License-Identifier: MIT");
    std::puts("// Generated from host/src/options.inc by tools/abi-constants. Do not edit.\n");
    std::puts("/** Those that users also type: in the page's address, and on the command line. */");
    std::puts("export const TYPED_OPTIONS = [");
#define OPTION(...)
#define SETTING(...)
#define TYPED_OPTION(member, name, ...) std::printf("  \"%s\",\n", name);
#include "options.inc"
    std::puts("] as const;\n\nexport const NUMBER_OPTIONS = {");
#define SETTING(...)
#define OPTION(member, name, value, least, most, unit, shown, help) print_option(name, least, most, unit, shown, help);
#define TYPED_OPTION OPTION
#include "options.inc"
    std::puts("} as const;");
    return 0;
}
