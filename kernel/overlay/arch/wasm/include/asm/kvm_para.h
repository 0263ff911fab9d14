/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel asks its hypervisor one thing: whether the machine was stopped. */
#ifndef _ASM_WASM_KVM_PARA_H
#define _ASM_WASM_KVM_PARA_H

#include <linux/types.h>

bool kvm_check_and_clear_guest_paused(void);

static inline unsigned int kvm_arch_para_features(void)
{
	return 0;
}

static inline unsigned int kvm_arch_para_hints(void)
{
	return 0;
}

static inline bool kvm_para_available(void)
{
	return false;
}

#endif /* _ASM_WASM_KVM_PARA_H */
