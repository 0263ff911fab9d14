// SPDX-License-Identifier: MIT
// A tracer and what it sees and changes: system calls, memory, signals, events, stops, and the end of both.
#include "ptrace.h"

int main(int argc, char **argv)
{
	if (argc > 1) return 22;
	test_calls();
	test_changes();
	test_emulation();
	test_memory();
	test_many_memories();
	test_signals();
	test_traps();
	test_events();
	test_other_events();
	test_fork_changed();
	test_attach();
	test_seize();
	test_spinner();
	test_end_of_tracer();
	test_no_number();
	printf("%s\n", failures ? "ptrace failed" : "ptrace as it should be");
	return failures != 0;
}
