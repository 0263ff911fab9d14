/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The order of the data segments: this takes the place of a linker script.
 *
 *     SECTION(name, alignment, start symbol, end symbol)
 *
 * wasm-ld lays data segments out in the order in which their names first
 * appear, and the pieces of one segment in link order. sections_start.o is
 * linked first and has the start symbol of every segment. sections_end.o is
 * linked last and has the end symbols.
 *
 * wasm-ld itself makes __start_NAME and __stop_NAME for a segment with the name
 * of a C identifier. Such a segment needs a line here only if kernel code uses
 * other symbols.
 */
SECTION(".rodata", 16, __start_rodata, __end_rodata)
SECTION("__ex_table", 4, __start___ex_table, __stop___ex_table)
SECTION(".init.setup", 4, __setup_start, __setup_end)
SECTION(".initcallearly.init", 4, __initcall_start, wasm_initcallearly_end)
SECTION(".initcall0.init", 4, __initcall0_start, wasm_initcall0_end)
SECTION(".initcall0s.init", 4, wasm_initcall0s_start, wasm_initcall0s_end)
SECTION(".initcall1.init", 4, __initcall1_start, wasm_initcall1_end)
SECTION(".initcall1s.init", 4, wasm_initcall1s_start, wasm_initcall1s_end)
SECTION(".initcall2.init", 4, __initcall2_start, wasm_initcall2_end)
SECTION(".initcall2s.init", 4, wasm_initcall2s_start, wasm_initcall2s_end)
SECTION(".initcall3.init", 4, __initcall3_start, wasm_initcall3_end)
SECTION(".initcall3s.init", 4, wasm_initcall3s_start, wasm_initcall3s_end)
SECTION(".initcall4.init", 4, __initcall4_start, wasm_initcall4_end)
SECTION(".initcall4s.init", 4, wasm_initcall4s_start, wasm_initcall4s_end)
SECTION(".initcall5.init", 4, __initcall5_start, wasm_initcall5_end)
SECTION(".initcall5s.init", 4, wasm_initcall5s_start, wasm_initcall5s_end)
SECTION(".initcallrootfs.init", 4, wasm_initcallrootfs_start, wasm_initcallrootfs_end)
SECTION(".initcall6.init", 4, __initcall6_start, wasm_initcall6_end)
SECTION(".initcall6s.init", 4, wasm_initcall6s_start, wasm_initcall6s_end)
SECTION(".initcall7.init", 4, __initcall7_start, wasm_initcall7_end)
SECTION(".initcall7s.init", 4, wasm_initcall7s_start, __initcall_end)
SECTION(".con_initcall.init", 4, __con_initcall_start, __con_initcall_end)
SECTION(".init.ramfs", 4, __initramfs_start, wasm_initramfs_end)
SECTION(".init.ramfs.info", 8, wasm_initramfs_info_start, wasm_initramfs_info_end)
SECTION("__param", 4, __start___param, __stop___param)
/*
 * The scheduler walks its classes from the highest to the lowest priority,
 * which is upwards in memory.
 */
SECTION("__stop_sched_class", 4, __sched_class_highest, wasm_stop_class_end)
SECTION("__dl_sched_class", 4, wasm_dl_class_start, wasm_dl_class_end)
SECTION("__rt_sched_class", 4, wasm_rt_class_start, wasm_rt_class_end)
SECTION("__fair_sched_class", 4, wasm_fair_class_start, wasm_fair_class_end)
SECTION("__idle_sched_class", 4, wasm_idle_class_start, __sched_class_lowest)
SECTION("__irqchip_of_table", 4, __irqchip_of_table, wasm_irqchip_end)
SECTION("__timer_of_table", 4, __timer_of_table, wasm_timer_end)
SECTION("__clk_of_table", 4, __clk_of_table, wasm_clk_end)
SECTION("__reservedmem_of_table", 4, __reservedmem_of_table, wasm_reservedmem_end)
SECTION("__cpu_method_of_table", 4, __cpu_method_of_table, wasm_cpu_method_end)
SECTION("__earlycon_table", 4, __earlycon_table, __earlycon_table_end)
SECTION(".lsm_info.init", 4, __start_lsm_info, __end_lsm_info)
SECTION(".early_lsm_info.init", 4, __start_early_lsm_info, __end_early_lsm_info)
SECTION(".kunit_test_suites", 4, __kunit_suites_start, __kunit_suites_end)
SECTION(".kunit_init_test_suites", 4, __kunit_init_suites_start, __kunit_init_suites_end)
SECTION(".dtb.init.rodata", 32, __dtb_start, __dtb_end)
SECTION("__tracepoints_ptrs", 4, __start___tracepoints_ptrs, __stop___tracepoints_ptrs)
SECTION("_ftrace_events", 4, __start_ftrace_events, __stop_ftrace_events)
SECTION("_ftrace_eval_map", 4, __start_ftrace_eval_maps, __stop_ftrace_eval_maps)
SECTION("__trace_printk_fmt", 4, __start___trace_bprintk_fmt, __stop___trace_bprintk_fmt)
SECTION(".data..once", 4, __start_once, __end_once)
/* Per-CPU data is one block, of which every CPU gets a copy. */
SECTION("percpu..first", 4096, __per_cpu_start, wasm_percpu_first_end)
SECTION("percpu..page_aligned", 4096, wasm_percpu_page_start, wasm_percpu_page_end)
SECTION("percpu..read_mostly", 64, wasm_percpu_read_start, wasm_percpu_read_end)
SECTION("percpu", 64, wasm_percpu_start, wasm_percpu_end)
SECTION("percpu..shared_aligned", 64, wasm_percpu_shared_start, __per_cpu_end)
SECTION(".data", 64, wasm_data_start, wasm_data_end)
