/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_WASM_CURRENT_H
#define _ASM_WASM_CURRENT_H

#ifndef __ASSEMBLY__

#include <asm/globals.h>

struct task_struct;

#define get_current()	((struct task_struct *)get_wasm_current())
#define current		get_current()

#endif /* __ASSEMBLY__ */
#endif /* _ASM_WASM_CURRENT_H */
