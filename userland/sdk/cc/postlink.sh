# SPDX-License-Identifier: MIT
# What the compiler wrapper does to the linked program: the guard of the stack,
# safepoints, asyncify, invoke_* functions, and the optimizer.
#
# shellcheck shell=sh
# shellcheck disable=SC2086 # lists of flags are meant to be split
# shellcheck disable=SC2034,SC2154 # the parts of the wrapper share their variables

# change TOOL OPTIONS...: the program, by a tool of our own
change() {
	tool=$1
	shift
	# without writing bytecode beside the tools
	run python3 -B "$prefix/share/$tool.py" "$@" "$program" "$temporary/$tool" || exit
	program=$temporary/$tool
}

# add_safepoints WHEN OPTIONS...: to the program, if they are wanted and this is the time for it.
add_safepoints() {
	[ "$safepoints" = "$1" ] || return 0
	shift
	change safepoints "$@"
	safepoints=added
}

# Listed, not --all-features: the engines do not know all that binaryen can write.
features='--mvp-features --enable-threads --enable-bulk-memory --enable-mutable-globals
	--enable-sign-ext --enable-nontrapping-float-to-int --enable-exception-handling'
program=$linked
# which programs with our start file have
if LC_ALL=C grep -aq __set_stack_pointer "$program"; then change stack_guard; fi
names=
if [ -n "$debug" ] && [ -z "$strip" ]; then names=-g; fi
# A handler that runs at a safepoint may fork, which asyncify must see, and functions that call setjmp must still be whole.
# Otherwise the polls come last: binaryen does not know their branch hints.
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
# -g is for looking at the program: optimizing, even by asyncify, would spoil the line numbers and move variables
if [ -n "$names" ]; then optimize= numbers=; fi

signatures=
if imports_fork "$program"; then
	# The checks end a program that does not keep the promise; without them it would go on with what is not there.
	set --
	if [ -n "$no_fork" ]; then set -- --pass-arg=asyncify-removelist@"${no_fork#,}" --pass-arg=asyncify-asserts; fi
	run "$WASM_OPT" "$program" -o "$temporary/unwinds" $features $names $numbers \
		--asyncify --pass-arg=asyncify-imports@linux.fork,env.invoke_* "$@" || exit
	program=$temporary/unwinds
	# what asyncify writes needs at least the simple passes
	if [ -z "$names" ]; then optimize=${optimize:--O1}; fi
	signatures=$(invokes)
fi

# When fork unwinds or rewinds the invoke_* functions only pass the call on, so they
# are added after asyncify and need no code for it.
if [ -n "$signatures" ]; then
	printf '%s\n' "$signatures" | awk -f "$share/invoke-module.awk" > "$temporary/invoke.wat"
	run "$WASM_AS" "$temporary/invoke.wat" -o "$temporary/invoke" $features || exit
	# Until the two tables are one, the module is only valid with reference types; the result does not need them.
	run "$WASM_MERGE" "$program" program "$temporary/invoke" env -o "$temporary/merged" \
		$features --enable-reference-types $names || exit
	# take the exports away again that only the merge needed
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
		# wasm-merge writes line tables that are wrong; names of functions it keeps.
		run "$WASM_OPT" "$program" -o "$temporary/without-lines" $features $names --strip-dwarf || exit
		program=$temporary/without-lines
		printf '%s: warning: no line numbers: %s\n' "$me" "the program uses fork and setjmp" >&2
	fi
fi

if [ -n "$optimize" ]; then
	run "$WASM_OPT" "$program" -o "$temporary/optimized" $features $optimize $names \
		--strip-producers || exit
	program=$temporary/optimized
fi
add_safepoints last
chmod +x "$program"
# in place, so that an output like /dev/null stays what it is
if [ -e "$output" ] && [ ! -f "$output" ]; then
	cat "$program" > "$output"
else
	rm -f "$output"
	cp "$program" "$output"
fi
