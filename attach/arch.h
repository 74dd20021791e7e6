// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * All that depends on the processor: registers, the system call convention, the signal frame, a few
 * bytes of code. Pure code, no ptrace: unit-tested on any host. To port remora, write another
 * arch_*.c with these functions, and the agent's few lines of assembler.
 */
#ifndef RMR_ATTACH_ARCH_H
#define RMR_ATTACH_ARCH_H

#include "attach/types.h"

#include <elf.h>
#include <sys/user.h>

#if !defined(__x86_64__)
#error "remora runs on x86_64 only, for now"
#endif

enum {
	RMR_ARCH_ELF_MACHINE = EM_X86_64,
	RMR_ARCH_DWARF_REGS = 17,    /**< how many registers the unwinder starts from */
	RMR_ARCH_XSTATE_MAX = 16384, /**< bytes; AMX makes it 11 kB */
	RMR_ARCH_FRAME_MAX = RMR_ARCH_XSTATE_MAX + 1024,
	RMR_ARCH_STUB_MAX = 64,
	RMR_ARCH_THREAD_SELF = 16, /**< where the thread pointer points holds itself: glibc
					sysdeps/x86_64/nptl/tls.h, tcbhead_t.self */
};

/** The general registers, as NT_PRSTATUS gives them. */
struct rmr_regs {
	struct user_regs_struct raw;
};

/** How a system call that a stop interrupted is to go on. */
enum rmr_restart {
	RMR_RESTART_NONE,  /**< not in a system call, or it is complete */
	RMR_RESTART_AGAIN, /**< ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND */
	RMR_RESTART_BLOCK, /**< ERESTART_RESTARTBLOCK: only the kernel knows how to go on */
	RMR_RESTART_EINTR, /**< EINTR: made by the stop, if no signal is there, and if it may be
				issued again without harm */
};

rmr_addr_t rmr_arch_pc(const struct rmr_regs *regs);
rmr_addr_t rmr_arch_sp(const struct rmr_regs *regs);

/** Where the C library's record of the thread is: 0 if it has none. */
rmr_addr_t rmr_arch_thread_pointer(const struct rmr_regs *regs);

/** The system call that the thread is in, or -1. */
long rmr_arch_syscall(const struct rmr_regs *regs);

/** What the system call returned: a value, or -errno. */
int64_t rmr_arch_result(const struct rmr_regs *regs);

enum rmr_restart rmr_arch_restart(const struct rmr_regs *regs);

/** True if the interrupted system call would end, with EINTR, by any signal that is handled. */
bool rmr_arch_ends_by_handler(const struct rmr_regs *regs);

/** Changes @p regs of a thread in an interrupted system call so that it is issued again. */
void rmr_arch_reissue(struct rmr_regs *regs);

/** Changes @p regs of a thread in a system call so that it has returned @p result. */
void rmr_arch_complete(struct rmr_regs *regs, int64_t result);

/** Makes RMR_RESTART_BLOCK into RMR_RESTART_AGAIN: a relative timeout begins anew. */
void rmr_arch_restart_anew(struct rmr_regs *regs);

/** True if the system call @p number changes the address space, the thread list or credentials, so
 *  that a thread in it is not to be borrowed. */
bool rmr_arch_is_forbidden(long number);

/** True if the call waits in the kernel for a file, a time, a child or a signal. Futexes are not
 *  among them: those may be the C library's own locks. */
bool rmr_arch_is_wait(long number);

bool rmr_arch_is_futex(long number);

/** True if a stop makes the call return EINTR always (not only under some socket option). */
bool rmr_arch_is_stop_sensitive(long number);

/** Starting registers for the unwinder, by DWARF number; the last is the pc. */
void rmr_arch_dwarf_regs(const struct rmr_regs *regs, uint64_t ret[RMR_ARCH_DWARF_REGS]);

/** The same where only pc and sp are known; the other registers are 0. */
void rmr_arch_dwarf_regs_partial(rmr_addr_t pc, rmr_addr_t sp, uint64_t ret[RMR_ARCH_DWARF_REGS]);

/** Sets @p regs to run at @p pc on the stack @p sp, in no system call. */
void rmr_arch_jump(struct rmr_regs *regs, rmr_addr_t pc, rmr_addr_t sp);

/** As rmr_arch_jump(), with the first two arguments of a C function. */
void rmr_arch_call(struct rmr_regs *regs, rmr_addr_t pc, rmr_addr_t sp, uint64_t a, uint64_t b);

/** Sets @p regs to run the system call instruction at @p gadget on the stack @p sp. */
void rmr_arch_prepare_syscall(struct rmr_regs *regs, rmr_addr_t gadget, rmr_addr_t sp, long number,
			      const uint64_t args[6]);

/** The numbers that the protocol uses. */
long rmr_arch_nr_mmap(void);
long rmr_arch_nr_sigreturn(void);

/** True if @p regs, at a system call's entry stop, issue @p number from @p gadget's instruction. */
bool rmr_arch_is_at(const struct rmr_regs *regs, rmr_addr_t gadget, long number);

/**
 * A signal frame that the kernel's sigreturn takes: all registers, the signal mask, the floating
 * point and vector state. Its first word is the return address to the C library's restorer, so
 * that a function called with the stack pointer at it returns into sigreturn. It does not touch
 * the alternate signal stack.
 */
struct rmr_frame {
	rmr_addr_t address;   /**< of the frame: the stack pointer to call a function with */
	rmr_addr_t scratch;   /**< 128 bytes of the target's stack, above the frame, below the red zone */
	rmr_addr_t restorer;  /**< the code that issues sigreturn */
	rmr_addr_t resume_sp; /**< with this stack pointer, at the restorer, the frame is restored */
	size_t size;	      /**< bytes of @p bytes, which belong at address */
	unsigned char bytes[RMR_ARCH_FRAME_MAX];
};

/**
 * Builds the frame that resumes @p regs, with @p mask blocked. @p xstate is NT_X86_XSTATE, @p
 * xstate_size bytes of it. False if that size is impossible.
 */
bool rmr_arch_build_frame(struct rmr_frame *frame, const struct rmr_regs *regs, uint64_t mask,
			  const void *xstate, size_t xstate_size, rmr_addr_t restorer);

/** The offset of a system call instruction followed by a return in @p code; -1 if none. */
ptrdiff_t rmr_arch_find_syscall(const unsigned char *code, size_t size);

/** The offset of the C library's signal restorer in @p code; -1 if none. */
ptrdiff_t rmr_arch_find_restorer(const unsigned char *code, size_t size);

/**
 * Code for `pthread_create(thread, NULL, entry, region)` that ends in a jump: it returns to its
 * caller's caller. At most RMR_ARCH_STUB_MAX bytes.
 */
size_t rmr_arch_stub_create_thread(unsigned char *code, rmr_addr_t function, rmr_addr_t thread,
				   rmr_addr_t entry, rmr_addr_t region);

/**
 * Code for `state = ensure(); init(); release(state); munmap(region, size)`, the last by a jump.
 * At most 2 * RMR_ARCH_STUB_MAX bytes.
 */
size_t rmr_arch_stub_init_threads(unsigned char *code, rmr_addr_t ensure, rmr_addr_t init,
				  rmr_addr_t release, rmr_addr_t munmap_function, rmr_addr_t region,
				  uint64_t size);

/** True if the @p size bytes of @p code (8 are enough) end in a call instruction: what follows them
 *  is a return address. */
bool rmr_arch_ends_in_call(const unsigned char *code, size_t size);

/**
 * True if @p code, which lies at @p address, reads as a direct jump, conditional or not; *target_ret
 * is where it leads.
 */
bool rmr_arch_is_jump(const unsigned char *code, size_t size, rmr_addr_t address,
	rmr_addr_t *target_ret);

/**
 * The address of the int or pointer that a small function such as PyEval_ThreadsInitialized loads first; 0 if
 * @p code, which lies at @p address, does not begin like that.
 */
rmr_addr_t rmr_arch_find_load(const unsigned char *code, size_t size, rmr_addr_t address);

#endif
