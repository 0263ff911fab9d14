# SPDX-License-Identifier: MIT
# Writes the invoke_* functions for the assembler, from a list of their
# signatures. The linker adds them to a program that asyncify does not change.
BEGIN {
	type["i"] = "i32"; type["j"] = "i64"; type["f"] = "f32"; type["d"] = "f64"
	print ".globaltype __stack_pointer, i32\n.tagtype __c_longjmp i32"
	print ".functype __wasm_longjmp_caught (i32) -> ()"
}
{
	n = length($0)
	result = substr($0, 1, 1)
	returned = result == "v" ? "" : type[result]
	parameters = ""
	for (k = 2; k <= n; k++) parameters = parameters (k > 2 ? ", " : "") type[substr($0, k, 1)]
	name = "invoke_" $0
	print ".globl " name "\n.type " name ",@function\n" name ":"
	print ".functype " name " (i32" (n > 1 ? ", " : "") parameters ") -> (" returned ")"
	print ".local i32, i32"
	print "global.get __stack_pointer\nlocal.set " n
	print "try " returned
	for (k = 1; k < n; k++) print "local.get " k
	print "local.get 0\ncall_indirect (" parameters ") -> (" returned ")"
	print "catch __c_longjmp\nlocal.set " n + 1
	print "local.get " n "\nglobal.set __stack_pointer"
	print "local.get " n + 1 "\ncall __wasm_longjmp_caught"
	if (returned != "") print returned ".const 0"
	print "end_try\nend_function"
}
