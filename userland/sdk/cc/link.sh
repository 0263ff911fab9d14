# SPDX-License-Identifier: MIT
# Compiles the sources on the compiler wrapper's command line and links them. It
# links a second time if the program needs functions or data that depend on the
# linked program.
#
# shellcheck shell=sh
# shellcheck disable=SC2086 # lists of flags are meant to be split
# The parts of the wrapper share their variables.
# shellcheck disable=SC2034,SC2154

# Compiles the sources in order. Object n takes the place of the nth mark.
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

# The linker writes the name of its output into the name section, where
# debuggers and back traces look. So the file has the program's name already.
linked=$temporary/linked/${output##*/}
mkdir "$temporary/linked"

# The exports that invoke_* functions need when they are merged with the
# program.
needed_by_merge='--export-if-defined=__wasm_longjmp_caught --export-if-defined=__c_longjmp --export-table'

# Only an undefined function with import attributes becomes an import: the C
# library declares linux.syscall, linux.fork and linux.clock. Any other
# undefined symbol is an error.
#
# The table begins at 16, because the address of a function must not mean
# something else: SIG_IGN is 1, SIG_HOLD 2.
link() {
	eval "run \"\$WASM_LD\" -o \"\$linked\" \
		--import-memory=linux,memory --shared-memory --max-memory=4294967296 \
		--stack-first -z stack-size=8388608 --table-base=16 --gc-sections $names \
		--export=__stack_pointer --export=__tls_base --export-if-defined=__clone_start --export-if-defined=__set_stack_pointer --export-if-defined=__stack_limit \
		$needed_by_merge $sjlj_flags $before $link_args $* \"-L\$sysroot/lib\" $after" || exit
}

# Prints C source with the shape of each function in the table of the linked
# program, and with calls for the shapes that have no number in the library's
# callback.h. That header says what they are for. Prints nothing for a program
# that makes no calls by shape, unless $1 says that it does.
function_shapes() {
	"$OBJ2YAML" "$linked" | awk -v wanted="${1-}" -f "$share/shapes.awk"
}
imports_fork() { LC_ALL=C grep -aq "$(printf 'linux\004fork')" "$1"; }

# Lists the signatures of the invoke_* functions that the program imports. A
# signature has a letter for the result, then one for each parameter: v nothing,
# i i32, j i64, f f32, d f64.
invokes() {
	LC_ALL=C tr '\n\000' '\001\002' < "$linked" |
		LC_ALL=C grep -ao "$(printf '\003')env.invoke_[vijfd]*$(printf '\002')" |
		LC_ALL=C tr -d '\002' | sed 's/.*invoke_//' | sort -u || :
}

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
# The linker can add the invoke_* functions where asyncify does not run. Debug
# information stays as it is then.
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
	# The shapes hold for the first link. Neither the data nor the functions
	# that were added change the table, and this checks it.
	if [ -s "$temporary/shapes.c" ]; then
		function_shapes yes | cmp -s - "$temporary/shapes.c" || fail "the function table changed between two links"
	fi
fi
