// SPDX-License-Identifier: GPL-3.0-or-later
// The Python text that the agent compiles in the target, NUL-terminated.
	.section .rodata
	.globl rmr_runner_source
	.hidden rmr_runner_source
rmr_runner_source:
	.incbin "runner.py"
	.byte 0
	.globl rmr_failure_source
	.hidden rmr_failure_source
rmr_failure_source:
	.incbin "failure.py"
	.byte 0
	.globl rmr_echo_source
	.hidden rmr_echo_source
rmr_echo_source:
	.incbin "echo.py"
	.byte 0
	.globl rmr_threads_source
	.hidden rmr_threads_source
rmr_threads_source:
	.incbin "threads.py"
	.byte 0
	.section .note.GNU-stack,"",@progbits
