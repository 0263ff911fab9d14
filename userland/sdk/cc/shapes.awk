# SPDX-License-Identifier: MIT
# Writes C source with the shapes of the functions in a program's table. It
# reads what obj2yaml says of the program, and writes nothing if the program
# does not ask for shapes. With the variable wanted it writes them in any case.
BEGIN {
	letter["I32"] = "i"; letter["I64"] = "j"; letter["F32"] = "f"; letter["F64"] = "d"
	c["i"] = "unsigned long"; c["j"] = "unsigned long long"; c["f"] = "float"; c["d"] = "double"
}
/^  - Type:/ { section = $3; list = "" }
section == "TYPE" && $2 == "Index:" { signature = $3; parameters[signature] = results[signature] = "" }
section == "TYPE" && /(Param|Return)Types:/ { list = $1 }
section == "TYPE" && $1 == "-" && $2 != "Index:" && $2 != "Type:" {
	l = $2 in letter ? letter[$2] : "?"
	if (list == "ParamTypes:") parameters[signature] = parameters[signature] l
	else results[signature] = results[signature] l
}
section == "IMPORT" && $1 == "SigIndex:" { type[functions++] = $2 }
section == "FUNCTION" && $1 == "FunctionTypes:" { list = "types" }
section == "ELEM" && $1 == "Value:" { start = $2 }
section == "ELEM" && $1 == "Functions:" { list = "elements" }
list == "types" || list == "elements" {
	last = /]/
	gsub(/[^0-9]+/, " ")
	n = split($0, number, " ")
	for (k = 1; k <= n; k++)
		if (list == "types") type[functions++] = number[k]; else element[count++] = number[k]
	if (last) list = ""
}
section == "EXPORT" && $3 == "__function_shapes_count" { wanted = 1 }

function shape(given, result,    call, k, l) {
	if (given ~ /^i?i?i?i?$/ && result ~ /^i?$/) return 1 + 2 * length(given) + length(result)
	if ((given ":" result) in others) return others[given ":" result]
	if ((given result) ~ /[?]/ || length(result) > 1 || 11 + other > 255) return 0
	call = "((" (result == "" ? "void" : c[result]) " (*)("
	for (k = 1; k <= length(given); k++) call = call (k > 1 ? ", " : "") c[substr(given, k, 1)]
	call = call (given == "" ? "void" : "") "))function)("
	for (k = 1; k <= length(given); k++) {
		l = substr(given, k, 1)
		call = call (k > 1 ? ", " : "") (k <= 4 && l ~ /[ij]/ ? substr("abcd", k, 1) : 0)
	}
	calls = calls "case " 11 + other ": " (result ~ /[ij]/ ? "return " call ");" : call "); return 0;") "\n"
	return others[given ":" result] = 11 + other++
}
END {
	if (!wanted) exit
	print "const unsigned char __function_shapes[] = {"
	for (k = 0; k < start; k++) print "0,"
	for (k = 0; k < count; k++) print shape(parameters[type[element[k]]], results[type[element[k]]]) ","
	printf "};\nconst unsigned __function_shapes_count = %d;\n", start + count
	print "unsigned long __call_other_shape(unsigned long function, unsigned shape,"
	print "unsigned long a, unsigned long b, unsigned long c, unsigned long d)"
	print "{\nswitch (shape) {\n" calls "default: __builtin_trap();\n}\n}"
}
