# SPDX-License-Identifier: MIT
# Writes the invoke_* functions as a wat module, from a list of their
# signatures. The wrapper merges the module with a program that asyncify has
# changed.
BEGIN {
	type["i"] = "i32"; type["j"] = "i64"; type["f"] = "f32"; type["d"] = "f64"
	print "(module"
	print "(import \"program\" \"__indirect_function_table\" (table 0 funcref))"
	print "(import \"program\" \"__stack_pointer\" (global $sp (mut i32)))"
	print "(import \"program\" \"__c_longjmp\" (tag $longjmp (param i32)))"
	print "(import \"program\" \"__wasm_longjmp_caught\" (func $caught (param i32)))"
}
{
	n = length($0)
	result = substr($0, 1, 1)
	parameters = arguments = ""
	for (k = 2; k <= n; k++) {
		parameters = parameters " " type[substr($0, k, 1)]
		arguments = arguments "(local.get " (k - 1) ")"
	}
	signature = "(param" parameters ")" (result == "v" ? "" : " (result " type[result] ")")
	printf "(func (export \"invoke_%s\") (param i32%s)%s\n", $0, parameters, \
		result == "v" ? "" : " (result " type[result] ")"
	print "(local $saved i32) (local $thrown i32)"
	print "(local.set $saved (global.get $sp))"
	printf "(try%s (do (call_indirect %s %s (local.get 0)))\n", \
		result == "v" ? "" : " (result " type[result] ")", signature, arguments
	print "(catch $longjmp (local.set $thrown (pop i32)) (global.set $sp (local.get $saved))"
	print "(call $caught (local.get $thrown))" (result == "v" ? "" : "(" type[result] ".const 0)") ")))"
}
END { print ")" }
