# SPDX-License-Identifier: MIT
# Compiles the sources of the compiler wrapper and links them, twice if the program
# needs functions that only the linked program tells.
#
# shellcheck shell=sh
# shellcheck disable=SC2086 # lists of flags are meant to be split
# shellcheck disable=SC2034,SC2154 # the parts of the wrapper share their variables

# compile the sources in order; object n takes the place of the nth mark
compile() {
	n=0
	while [ $# -gt 0 ]; do
		n=$((n + 1))
		file=$3
		case $file in */*) base=${file##*/} ;; *) base=$file ;; esac
		base=${base%.*}
		eval "run \$CCACHE \"\$CLANG\" \$target_flags \$sjlj_flags \$library_flags --sysroot=\"\$sysroot\" \
			-Wno-unused-command-line-argument $compile_args -fno-pic -c \
			-o \"\$temporary/$n.o\" -x \"\$2\" \"\$file\"" || exit
		shift 3
	done
}
eval "compile $sources"
place_objects() {
	link_args= n=0
	for w; do
		case $w in
			@@source@@) n=$((n + 1)); w=$temporary/$n.o ;;
		esac
		to_link "$w"
	done
}
eval "place_objects $link_args"

if [ -n "$relocatable" ]; then
	eval "run \"\$WASM_LD\" -r -o \"\$output\" $link_args" || exit
	exit 0
fi

before= after=
if [ -n "$start_files" ]; then quote "$sysroot/lib/crt1.o"; before=$quoted; fi
if [ -n "$default_libraries" ]; then
	quote "$("$CLANG" -print-resource-dir)/lib/wasi/libclang_rt.builtins-wasm32.a"
	after="-lc $quoted"
fi
names=
if [ -z "$debug" ] || [ -n "$strip" ]; then names=--strip-debug; fi

# The linker writes the name of its output into the name section, where debuggers and back traces look.
linked=$temporary/linked/${output##*/}
mkdir "$temporary/linked"

# What invoke_* functions that are merged in need of the program.
needed_by_merge='--export-if-defined=__wasm_longjmp_caught --export-if-defined=__c_longjmp --export-table'

# Imports other than those declared with import attributes (the C library has
# linux.syscall and linux.fork) stay undefined symbols, which are errors.
# No function may have an address that means something else: SIG_IGN is 1, SIG_HOLD 2.
link() {
	eval "run \"\$WASM_LD\" -o \"\$linked\" \
		--import-memory=linux,memory --shared-memory --max-memory=4294967296 \
		--stack-first -z stack-size=8388608 --table-base=16 --gc-sections $names \
		--export=__stack_pointer --export=__tls_base --export-if-defined=__clone_start --export-if-defined=__set_stack_pointer --export-if-defined=__stack_limit \
		$needed_by_merge $sjlj_flags $before $link_args $* \"-L\$sysroot/lib\" $after" || exit
}

# The shape of each function in the table of the linked program, as C source for
# the library (its callback.h says what for and has the same numbers), and how to
# call those that have no number there. Prints nothing for a program that makes
# no such calls, unless $1 says that it does.
function_shapes() {
	"$OBJ2YAML" "$linked" | awk -v wanted="${1-}" -f "$share/shapes.awk"
}
imports_fork() { LC_ALL=C grep -aq "$(printf 'linux\004fork')" "$1"; }

# The invoke_* functions that the program calls below setjmp, by their signature
# (v nothing, i i32, j i64, f f32, d f64: the result, then the parameters).
invokes() {
	LC_ALL=C tr '\n\000' '\001\002' < "$linked" |
		LC_ALL=C grep -ao "$(printf '\003')env.invoke_[vijfd]*$(printf '\002')" |
		LC_ALL=C tr -d '\002' | sed 's/.*invoke_//' | sort -u || :
}

# These functions for the assembler, by the list of their signatures.
invoke_assembly() {
	awk -f "$share/invoke-assembly.awk"
}

wanted=
if [ -n "$safepoints" ]; then wanted="--export=__safepoint --export=__safepoint_word --export-if-defined=__wasm_setjmp"; fi
link --export-if-defined=__function_shapes_count $wanted
more=
function_shapes > "$temporary/shapes.c"
if [ -s "$temporary/shapes.c" ]; then
	eval "run \"\$CLANG\" $target_flags -O1 -c -o \"\$temporary/shapes.o\" \"\$temporary/shapes.c\"" || exit
	quote "$temporary/shapes.o"
	more=$quoted
fi
# Where asyncify does not run they can be linked in, which keeps debug information as it is.
if ! imports_fork "$linked"; then
	invokes > "$temporary/invokes"
	if [ -s "$temporary/invokes" ]; then
		invoke_assembly < "$temporary/invokes" > "$temporary/invoke.s"
		eval "run \"\$CLANG\" $target_flags -c -o \"\$temporary/invoke.o\" \"\$temporary/invoke.s\"" || exit
		quote "$temporary/invoke.o"
		more="$more $quoted"
	fi
	needed_by_merge=
fi
if [ -n "$more" ]; then
	link "$more" $wanted
	# Neither data nor these functions change the table, which is checked.
	if [ -s "$temporary/shapes.c" ]; then
		function_shapes yes | cmp -s - "$temporary/shapes.c" || fail "the function table changed between two links"
	fi
fi
