# SPDX-License-Identifier: MIT
# What the compiler wrapper does to the linked program. It adds the guard of the
# stack, safepoints, asyncify's code and invoke_* functions, and optimizes.
#
# shellcheck shell=sh
# shellcheck disable=SC2086 # lists of flags are meant to be split
# The parts of the wrapper share their variables.
# shellcheck disable=SC2034,SC2154

# change TOOL OPTIONS...
# Changes the program by a tool of the SDK.
change() {
	tool=$1
	shift
	# -B: Python writes no bytecode beside the tools.
	run python3 -B "$prefix/share/$tool.py" "$@" "$program" "$temporary/$tool" || exit
	program=$temporary/$tool
}

# add_safepoints WHEN OPTIONS...
# Adds safepoints to the program if they are wanted and WHEN is the time for
# them.
add_safepoints() {
	[ "$safepoints" = "$1" ] || return 0
	shift
	change safepoints "$@"
	safepoints=added
}

# The features are listed, because engines do not know all that --all-features
# lets binaryen write.
features='--mvp-features --enable-threads --enable-bulk-memory --enable-mutable-globals
	--enable-sign-ext --enable-nontrapping-float-to-int --enable-exception-handling'
program=$linked
# Programs with the C library's start file have this function.
if LC_ALL=C grep -aq __set_stack_pointer "$program"; then change stack_guard; fi
names=
if [ -n "$debug" ] && [ -z "$strip" ]; then names=-g; fi
# The polls come first in two kinds of programs. A handler that runs at a
# safepoint may fork, so asyncify must see the polls. Functions that call setjmp
# must still be whole. Otherwise the polls come last, because binaryen does not
# know their branch hints.
if [ -n "$safepoints" ]; then
	safepoints=last
	if imports_fork "$program" || LC_ALL=C grep -aq __wasm_setjmp "$program"; then safepoints=first; fi
fi
add_safepoints first --no-hints
optimize=
case $level in
	0) numbers='--optimize-level=1' ;;
	1) optimize=-O1 numbers='--optimize-level=1' ;;
	s|z) optimize=-O$level numbers='--optimize-level=2 --shrink-level=1' ;;
	*) optimize=-O2 numbers='--optimize-level=2' ;;
esac
# -g is for looking at the program. Optimizing, even by asyncify, would spoil
# line numbers and move variables.
if [ -n "$names" ]; then optimize= numbers=; fi

signatures=
if imports_fork "$program"; then
	# The asserts end a program that forks in a function of -fno-fork-in.
	# Without them it would go on with frames that are not there.
	set --
	if [ -n "$no_fork" ]; then set -- --pass-arg=asyncify-removelist@"${no_fork#,}" --pass-arg=asyncify-asserts; fi
	run "$WASM_OPT" "$program" -o "$temporary/unwinds" $features $names $numbers \
		--asyncify --pass-arg=asyncify-imports@linux.fork,env.invoke_* "$@" || exit
	program=$temporary/unwinds
	# The code that asyncify writes needs at least the simple passes.
	if [ -z "$names" ]; then optimize=${optimize:--O1}; fi
	signatures=$(invokes)
fi

# The invoke_* functions are added after asyncify, and need none of its code:
# when fork unwinds or rewinds the program, they only pass the call on.
if [ -n "$signatures" ]; then
	printf '%s\n' "$signatures" | awk -f "$share/invoke-module.awk" > "$temporary/invoke.wat"
	run "$WASM_AS" "$temporary/invoke.wat" -o "$temporary/invoke" $features || exit
	# The module is valid only with reference types until its two tables are
	# one. The result does not need reference types.
	run "$WASM_MERGE" "$program" program "$temporary/invoke" env -o "$temporary/merged" \
		$features --enable-reference-types $names || exit
	# Takes away those exports that only the merge needed.
	awk 'BEGIN {
		n = split("__psabi_2 _start __stack_pointer __stack_limit __tls_base __clone_start __signal_trap asyncify_start_unwind asyncify_stop_unwind " \
			"asyncify_start_rewind asyncify_stop_rewind asyncify_get_state", name, " ")
		printf "[{\"name\": \"kernel\", \"root\": true, \"reaches\": ["
		for (k = 1; k <= n; k++) printf "%s\"%s\"", (k > 1 ? ", " : ""), name[k]
		printf "]}"
		for (k = 1; k <= n; k++) printf ",\n{\"name\": \"%s\", \"export\": \"%s\"}", name[k], name[k]
		print "]"
	}' > "$temporary/exports.json"
	run "$WASM_METADCE" "$temporary/merged" -f "$temporary/exports.json" \
		-o "$temporary/program" $features $names > /dev/null || exit
	program=$temporary/program
	if [ -n "$names" ]; then
		# wasm-merge writes wrong line tables. It keeps the names of
		# functions.
		run "$WASM_OPT" "$program" -o "$temporary/without-lines" $features $names --strip-dwarf || exit
		program=$temporary/without-lines
		printf '%s: warning: no line numbers: %s\n' "$me" "the program uses fork and setjmp" >&2
	fi
fi

if [ -n "$optimize" ]; then
	# Binaryen's pass "precompute" drops atomic.fence (kernel/build.sh).
	fences=
	if LC_ALL=C grep -aq "$(printf '\376\003')" "$program"; then
		fences='--skip-pass=precompute --skip-pass=precompute-propagate'
		fences="$fences --skip-pass=inlining-optimizing --skip-pass=dae-optimizing"
		if [ "$optimize" != -O1 ]; then fences="--dae --inlining $fences"; fi
	fi
	run "$WASM_OPT" "$program" -o "$temporary/optimized" $features $fences $optimize $names \
		--strip-producers || exit
	program=$temporary/optimized
fi
add_safepoints last
chmod +x "$program"
# The program is written in place, so that an output like /dev/null stays what
# it is.
if [ -e "$output" ] && [ ! -f "$output" ]; then
	cat "$program" > "$output"
else
	rm -f "$output"
	cp "$program" "$output"
fi
