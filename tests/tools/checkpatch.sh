#!/bin/sh
# SPDX-License-Identifier: MIT
# The style of the kernel's overlay, by the kernel's own scripts/checkpatch.pl: checkpatch.sh KERNEL-SOURCE
#
# KERNEL-SOURCE is the prepared source, of which only scripts/checkpatch.pl is used. A check of our own follows:
# no line with a comment is wider than 80 columns. Only a line with a URL may be, because a URL cannot be wrapped.
set -eu
source=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Types that are right nowhere in this tree, with the reason.
ignored_types() {
	cat <<-END
		BIT_MACRO		C++ reads uapi/asm/host.h, and sizes like 1 << 20 are no bits
		CAMELCASE		__SYSCALL_DEFINEx and the Opt_ names of mount options are the kernel's own
		ENOSYS			the entries of calls that do not exist are here; futex() has unknown operations
		MACRO_ARG_REUSE		arguments of typeof, names that are pasted, types
		MACRO_ARG_UNUSED	generic code passes what this architecture does not need
		NEW_TYPEDEFS		generic code asks for these types by name: pte_t, elf_gregset_t, atomic64_t
	END
}

# Types that are right elsewhere, but not in one file: the file, the type, the reason.
exceptions() {
	cat <<-END
		drivers/virtio.c UNDOCUMENTED_DT_STRING		the host makes the device tree: docs/abi-engine.md is its document
		include/asm/atomic.h SPACING			takes "type *v" in a macro for a product
		include/asm/barrier.h MEMORY_BARRIER		defines the barriers
		include/asm/engine_calls.h FUNCTION_ARGUMENTS	takes "(void) ENGINE_CALL(name)" for a function's argument
		include/asm/engine_calls.h SPACING		takes "(void) ENGINE_CALL(name)" for a cast
		include/asm/machine.h COMPLEX_MACRO		WASM_EXPORT() is two attributes
		include/asm/processor.h DEFINE_ARCH_HAS		<linux/prefetch.h> asks for ARCH_HAS_PREFETCH
		include/asm/syscall_wrapper.h COMPLEX_MACRO	the macros are declarations and lists of arguments
		include/asm/syscall_wrapper.h SPACING		the empty arguments of "__MAP(x, f,, a,, b)"
		include/asm/uaccess.h MACRO_WITH_FLOW_CONTROL	__get_kernel_nofault() jumps by definition
		kernel/pools.c ASSIGN_IN_IF			the idiom of wait_event()
		kernel/stacktrace.c PRINTK_WITHOUT_KERN_LEVEL	the level is an argument
		kernel/stacktrace.c PREFER_PR_LEVEL		show_regs() prints at the default level
		mm/writeback.c OPEN_BRACE			takes the type of a function for one
		kernel/coroutine.c AVOID_BUG			nothing can follow the function of a kernel thread
		kernel/sections_end.c TRAILING_SEMICOLON	the lines of sections.h have none
		kernel/sections_start.c TRAILING_SEMICOLON	the lines of sections.h have none
		kernel/smp.c NR_CPUS				the bounds of an array of that size
		kernel/sys_wasm.c BRACKET_SPACE			the designator "[nr] =" in a macro
		kernel/sys_wasm.c TRAILING_SEMICOLON		the lines of the system call table have none
		mm/proc.c AVOID_EXTERNS				the prototypes are in a private header of fs/proc
	END
}

# style FILE...: one line for each fault. checkpatch leaves a cache in the folder where it runs.
style() (
	cd "$folder"
	status=0
	perl "$source/scripts/checkpatch.pl" --root="$source" --strict --no-tree --terse --no-summary --show-types \
		--max-line-length=100 --ignore "$(ignored_types | awk '{ printf "%s%s", separator, $1; separator = "," }')" \
		-f "$@" 2>&1 || status=$?
	[ "$status" -le 1 ] || echo "checkpatch.pl ended with status $status"
)

# widths FILE...: one line for each line with a comment that has more than 80 columns. Tabs end at columns of 8.
widths() {
	awk '
		FNR == 1 { inside = 0 }
		{
			text = $0
			gsub(/"([^"\\]|\\.)*"/, "", text)
			comment = inside || text ~ /\/\*/ || text ~ /(^|[^:])\/\//
			while (match(text, inside ? "[*]/" : "/[*]")) {
				text = substr(text, RSTART + 2)
				inside = !inside
			}
		}
		comment && !/:\/\// {
			width = 0
			for (i = 1; i <= length($0); i++)
				width = substr($0, i, 1) == "\t" ? width + 8 - width % 8 : width + 1
			if (width > 80)
				printf "%s:%d: a comment of %d columns, more than 80\n", FILENAME, FNR, width
		}' "$@"
}

# Both checks find what they should.
cat >"$folder/faulty.c" <<'END'
// SPDX-License-Identifier: GPL-2.0-only
int f(int x)
{
	if(x)
		return 1; /* a comment that ends a column too far to the right */
	return 0;
}
END
style "$folder/faulty.c" | grep -q 'faulty.c:4: ERROR:SPACING' || { echo "checkpatch.pl finds nothing" >&2; exit 1; }
widths "$folder/faulty.c" | grep -q 'faulty.c:5: a comment of 81 columns' || { echo "no width is found" >&2; exit 1; }

overlay=kernel/overlay/arch/wasm
cd "$top"
git ls-files -- "kernel/overlay/*.c" "kernel/overlay/*.h" "kernel/overlay/*.S" >"$folder/files"
[ -s "$folder/files" ] || { echo "no files" >&2; exit 1; }
set --
while read -r file; do
	set -- "$@" "$top/$file"
done <"$folder/files"
{
	style "$@"
	widths "$@"
} | sed "s|^$top/||" >"$folder/found"

# Takes the exceptions away. One that fits no fault is a fault.
exceptions | awk -v overlay="$overlay" '
	NR == FNR { excepted[overlay "/" $1 " " $2] = 1; next }
	{
		split($0, part, ":")
		key = part[1] " " part[4]
		if (key in excepted) used[key] = 1
		else print
	}
	END { for (key in excepted) if (!(key in used)) print "checkpatch.sh: no such fault any more: " key }
' - "$folder/found" >"$folder/faults"
cat "$folder/faults"
faults=$(wc -l <"$folder/faults")
echo "$# files of the kernel's overlay, $((faults)) faults"
[ "$((faults))" -eq 0 ]
