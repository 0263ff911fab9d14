# SPDX-License-Identifier: MIT
# The exception tag of longjmp, which the compiler refers to by this name.
	.tagtype __c_longjmp i32
	.globl __c_longjmp
__c_longjmp:
