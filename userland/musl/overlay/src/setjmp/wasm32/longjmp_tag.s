# SPDX-License-Identifier: MIT
# The exception tag of longjmp(). The compiler knows it by this name.
	.tagtype __c_longjmp i32
	.globl __c_longjmp
__c_longjmp:
