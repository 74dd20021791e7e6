// SPDX-License-Identifier: GPL-3.0-or-later
// A 32-bit program that waits for ever in pause(2).
.globl _start
_start:
	movl	$29, %eax
	int	$0x80
	jmp	_start
.section .note.GNU-stack,"",@progbits
