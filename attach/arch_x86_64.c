// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/arch.h"

#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

/* What a system call that is to be restarted "returns" (Linux include/linux/errno.h). */
enum {
	ERESTARTSYS = 512,
	ERESTARTNOINTR = 513,
	ERESTARTNOHAND = 514,
	ERESTART_RESTARTBLOCK = 516,
};

enum {
	RED_ZONE = 128,
	SCRATCH = 128,
	SYSCALL_SIZE = 2, /* bytes of the syscall instruction */
	FLAG_TRAP = 0x100,
	FLAG_DIRECTION = 0x400,
	XFEATURES_AT = 464, /* struct _fpx_sw_bytes in the legacy area (asm/sigcontext.h) */
	XSTATE_BV_AT = 512,
	XSTATE_MIN = 576,
	AMX_FEATURES = 3 << 17,
	AMX_DATA = 18,
};

rmr_addr_t rmr_arch_pc(const struct rmr_regs *regs)
{
	return regs->raw.rip;
}

rmr_addr_t rmr_arch_sp(const struct rmr_regs *regs)
{
	return regs->raw.rsp;
}

rmr_addr_t rmr_arch_thread_pointer(const struct rmr_regs *regs)
{
	return regs->raw.fs_base;
}

long rmr_arch_syscall(const struct rmr_regs *regs)
{
	long number = (long)regs->raw.orig_rax;

	return number >= 0 ? number : -1;
}

int64_t rmr_arch_result(const struct rmr_regs *regs)
{
	return (int64_t)regs->raw.rax;
}

static bool is_in(long number, const short *set, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (set[i] == number)
			return true;
	}
	return false;
}
#define IN(number, set) is_in(number, set, sizeof(set) / sizeof((set)[0]))

/*
 * Calls that return EINTR after any stop, signal or not, and that have done nothing then:
 * signal(7), "Interruption of system calls and library functions by stop signals"; the socket calls
 * only with SO_RCVTIMEO or SO_SNDTIMEO.
 */
static const short eintr_calls[] = {
	SYS_epoll_wait,
	SYS_epoll_pwait,
	SYS_epoll_pwait2,
	SYS_rt_sigtimedwait,
	SYS_semop,
	SYS_semtimedop,
	SYS_io_getevents,
	SYS_io_pgetevents,
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_recvmmsg,
	SYS_sendto,
	SYS_sendmsg,
	SYS_accept,
	SYS_accept4,
	SYS_connect,
};

enum rmr_restart rmr_arch_restart(const struct rmr_regs *regs)
{
	long number = rmr_arch_syscall(regs);

	if (number < 0)
		return RMR_RESTART_NONE;
	switch (-rmr_arch_result(regs)) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		return RMR_RESTART_AGAIN;
	case ERESTART_RESTARTBLOCK:
		return RMR_RESTART_BLOCK;
	case EINTR:
		return IN(number, eintr_calls) ? RMR_RESTART_EINTR : RMR_RESTART_NONE;
	default:
		return RMR_RESTART_NONE;
	}
}

bool rmr_arch_ends_by_handler(const struct rmr_regs *regs)
{
	int64_t result = rmr_arch_result(regs);

	return rmr_arch_syscall(regs) >= 0 && (result == -ERESTARTNOHAND || result == -EINTR);
}

void rmr_arch_restart_anew(struct rmr_regs *regs)
{
	/* A handler makes either return EINTR. */
	regs->raw.rax = (unsigned long)-ERESTARTNOHAND;
}

void rmr_arch_reissue(struct rmr_regs *regs)
{
	regs->raw.rax = regs->raw.orig_rax;
	regs->raw.rip -= SYSCALL_SIZE;
	regs->raw.orig_rax = (unsigned long)-1;
}

void rmr_arch_complete(struct rmr_regs *regs, int64_t result)
{
	regs->raw.rax = (unsigned long)result;
	regs->raw.orig_rax = (unsigned long)-1;
}

bool rmr_arch_is_forbidden(long number)
{
	static const short set[] = {
		SYS_mmap,
		SYS_munmap,
		SYS_mprotect,
		SYS_brk,
		SYS_mremap,
		SYS_madvise,
		SYS_clone,
		SYS_clone3,
		SYS_fork,
		SYS_vfork,
		SYS_execve,
		SYS_execveat,
		SYS_exit,
		SYS_exit_group,
		SYS_setuid,
		SYS_setgid,
		SYS_setreuid,
		SYS_setregid,
		SYS_setgroups,
		SYS_setresuid,
		SYS_setresgid,
		SYS_setfsuid,
		SYS_setfsgid,
		SYS_unshare,
		SYS_setns,
		SYS_ptrace,
		SYS_rt_sigreturn,
		SYS_arch_prctl,
		SYS_pkey_mprotect,
		SYS_remap_file_pages,
		SYS_process_madvise,
	};

	return IN(number, set);
}

bool rmr_arch_is_wait(long number)
{
	static const short set[] = {
		SYS_read,
		SYS_write,
		SYS_readv,
		SYS_writev,
		SYS_pread64,
		SYS_pwrite64,
		SYS_preadv,
		SYS_pwritev,
		SYS_preadv2,
		SYS_pwritev2,
		SYS_poll,
		SYS_ppoll,
		SYS_select,
		SYS_pselect6,
		SYS_epoll_wait,
		SYS_epoll_pwait,
		SYS_epoll_pwait2,
		SYS_accept,
		SYS_accept4,
		SYS_connect,
		SYS_recvfrom,
		SYS_recvmsg,
		SYS_recvmmsg,
		SYS_sendto,
		SYS_sendmsg,
		SYS_sendmmsg,
		SYS_sendfile,
		SYS_splice,
		SYS_nanosleep,
		SYS_clock_nanosleep,
		SYS_pause,
		SYS_wait4,
		SYS_waitid,
		SYS_rt_sigtimedwait,
		SYS_rt_sigsuspend,
		SYS_flock,
		SYS_fcntl,
		SYS_fsync,
		SYS_fdatasync,
		SYS_semop,
		SYS_semtimedop,
		SYS_msgrcv,
		SYS_msgsnd,
		SYS_mq_timedreceive,
		SYS_mq_timedsend,
		SYS_io_getevents,
		SYS_io_pgetevents,
		SYS_io_uring_enter,
		SYS_open,
		SYS_openat,
		SYS_ioctl,
		SYS_msync,
		SYS_getrandom,
		SYS_sched_yield,
		/* What a poll, a sleep or a timed futex becomes after a stop. */
		SYS_restart_syscall,
	};

	return IN(number, set);
}

bool rmr_arch_is_futex(long number)
{
	return number == SYS_futex || number == 449 /* futex_waitv */ ||
	       number == 455 /* futex_wait */;
}

bool rmr_arch_is_stop_sensitive(long number)
{
	static const short set[] = {
		SYS_epoll_wait,
		SYS_epoll_pwait,
		SYS_epoll_pwait2,
		SYS_rt_sigtimedwait,
		SYS_semop,
		SYS_semtimedop,
		SYS_io_getevents,
		SYS_io_pgetevents,
		SYS_io_uring_enter,
	};

	return IN(number, set);
}

void rmr_arch_dwarf_regs(const struct rmr_regs *regs, uint64_t ret[RMR_ARCH_DWARF_REGS])
{
	const struct user_regs_struct *r = &regs->raw;
	const uint64_t values[RMR_ARCH_DWARF_REGS] = {
		r->rax,
		r->rdx,
		r->rcx,
		r->rbx,
		r->rsi,
		r->rdi,
		r->rbp,
		r->rsp,
		r->r8,
		r->r9,
		r->r10,
		r->r11,
		r->r12,
		r->r13,
		r->r14,
		r->r15,
		r->rip,
	};

	memcpy(ret, values, sizeof(values));
}

void rmr_arch_dwarf_regs_partial(rmr_addr_t pc, rmr_addr_t sp, uint64_t ret[RMR_ARCH_DWARF_REGS])
{
	memset(ret, 0, RMR_ARCH_DWARF_REGS * sizeof(*ret));
	ret[7] = sp;
	ret[16] = pc;
}

void rmr_arch_jump(struct rmr_regs *regs, rmr_addr_t pc, rmr_addr_t sp)
{
	regs->raw.rip = pc;
	regs->raw.rsp = sp;
	regs->raw.rax = 0;
	regs->raw.orig_rax = (unsigned long)-1;
	regs->raw.eflags &= ~(unsigned long)(FLAG_TRAP | FLAG_DIRECTION);
}

void rmr_arch_call(struct rmr_regs *regs, rmr_addr_t pc, rmr_addr_t sp, uint64_t a, uint64_t b)
{
	rmr_arch_jump(regs, pc, sp);
	regs->raw.rdi = a;
	regs->raw.rsi = b;
}

void rmr_arch_prepare_syscall(struct rmr_regs *regs, rmr_addr_t gadget, rmr_addr_t sp, long number,
	const uint64_t args[6])
{
	rmr_arch_jump(regs, gadget, sp);
	regs->raw.rax = (unsigned long)number;
	regs->raw.rdi = args[0];
	regs->raw.rsi = args[1];
	regs->raw.rdx = args[2];
	regs->raw.r10 = args[3];
	regs->raw.r8 = args[4];
	regs->raw.r9 = args[5];
}

long rmr_arch_nr_mmap(void)
{
	return SYS_mmap;
}

long rmr_arch_nr_sigreturn(void)
{
	return SYS_rt_sigreturn;
}

bool rmr_arch_is_at(const struct rmr_regs *regs, rmr_addr_t gadget, long number)
{
	return (long)regs->raw.orig_rax == number && regs->raw.rip == gadget + SYSCALL_SIZE;
}

/* Linux arch/x86/include/asm/sigframe.h, struct rt_sigframe, and asm/ucontext.h. */
struct signal_frame {
	uint64_t return_address;
	uint64_t flags;
	uint64_t link;
	uint64_t stack_address;
	uint32_t stack_flags;
	uint32_t stack_padding;
	uint64_t stack_size;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t error, trap, old_mask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
	uint64_t mask;
	uint8_t info[128];
};
_Static_assert(sizeof(struct signal_frame) == 440, "rt_sigframe is 440 bytes");

enum {
	UC_FP_XSTATE = 1,
	UC_SIGCONTEXT_SS = 2,
	UC_STRICT_RESTORE_SS = 4,
	/* Unknown flags make the kernel leave the alternate stack alone: restore_altstack() in
	 * kernel/signal.c ignores EINVAL. */
	BAD_STACK_FLAGS = 0x1234,
};

/* struct _fpx_sw_bytes, asm/sigcontext.h. */
struct xstate_trailer {
	uint32_t magic1;
	uint32_t extended_size;
	uint64_t features;
	uint32_t xstate_size;
	uint32_t padding[7];
};

static const uint32_t xstate_magic1 = 0x46505853, xstate_magic2 = 0x46505845;

/*
 * sigreturn drops the vector state of a thread that may not use AMX if the image has room for it
 * (arch/x86/kernel/fpu/signal.c, check_xstate_in_sigframe): cut it off, it is the last.
 */
static size_t trim_xstate(const unsigned char *xstate, size_t size, uint64_t *features)
{
	uint64_t used;
	unsigned eax, ebx, ecx, edx;

	memcpy(features, xstate + XFEATURES_AT, sizeof(*features));
	memcpy(&used, xstate + XSTATE_BV_AT, sizeof(used));
	if (!(*features & AMX_FEATURES) || (used & AMX_FEATURES))
		return size;
	*features &= ~(uint64_t)AMX_FEATURES;
	if (__get_cpuid_count(0xd, AMX_DATA, &eax, &ebx, &ecx, &edx) && ebx >= XSTATE_MIN &&
		ebx < size)
		return ebx;
	return size;
}

static void fill_context(struct signal_frame *frame, const struct user_regs_struct *r)
{
	frame->r8 = r->r8;
	frame->r9 = r->r9;
	frame->r10 = r->r10;
	frame->r11 = r->r11;
	frame->r12 = r->r12;
	frame->r13 = r->r13;
	frame->r14 = r->r14;
	frame->r15 = r->r15;
	frame->rdi = r->rdi;
	frame->rsi = r->rsi;
	frame->rbp = r->rbp;
	frame->rbx = r->rbx;
	frame->rdx = r->rdx;
	frame->rax = r->rax;
	frame->rcx = r->rcx;
	frame->rsp = r->rsp;
	frame->rip = r->rip;
	frame->eflags = r->eflags;
	frame->cs = (uint16_t)r->cs;
	frame->ss = (uint16_t)r->ss;
}

bool rmr_arch_build_frame(struct rmr_frame *frame, const struct rmr_regs *regs, uint64_t mask,
	const void *xstate, size_t xstate_size, rmr_addr_t restorer)
{
	uint64_t features;

	if (xstate_size < XSTATE_MIN || xstate_size > RMR_ARCH_XSTATE_MAX)
		return false;
	size_t size = trim_xstate(xstate, xstate_size, &features);
	size_t with_magic = size + sizeof(xstate_magic2);
	frame->scratch = (regs->raw.rsp - RED_ZONE - SCRATCH) & ~(rmr_addr_t)15;
	rmr_addr_t fpstate = (frame->scratch - with_magic) & ~(rmr_addr_t)63;
	/* As at a function's entry: 8 modulo 16. */
	frame->address = ((fpstate - sizeof(struct signal_frame)) & ~(rmr_addr_t)15) - 8;
	frame->restorer = restorer;
	frame->resume_sp = frame->address + 8;
	frame->size = fpstate + with_magic - frame->address;

	struct signal_frame context = {
		.return_address = restorer,
		.flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
		.stack_flags = BAD_STACK_FLAGS,
		.fpstate = fpstate,
		.mask = mask,
	};
	fill_context(&context, &regs->raw);
	struct xstate_trailer trailer = {
		.magic1 = xstate_magic1,
		.extended_size = (uint32_t)with_magic,
		.features = features,
		.xstate_size = (uint32_t)size,
	};
	unsigned char *image = frame->bytes + (fpstate - frame->address);
	memset(frame->bytes, 0, frame->size);
	memcpy(frame->bytes, &context, sizeof(context));
	memcpy(image, xstate, size);
	memcpy(image + XFEATURES_AT, &trailer, sizeof(trailer));
	memcpy(image + size, &xstate_magic2, sizeof(xstate_magic2));
	return true;
}

static ptrdiff_t find(const unsigned char *code, size_t size, const void *bytes, size_t length)
{
	const unsigned char *found = memmem(code, size, bytes, length);

	return found ? found - code : -1;
}

ptrdiff_t rmr_arch_find_syscall(const unsigned char *code, size_t size)
{
	static const unsigned char syscall_ret[] = {0x0f, 0x05, 0xc3};

	return find(code, size, syscall_ret, sizeof(syscall_ret));
}

ptrdiff_t rmr_arch_find_restorer(const unsigned char *code, size_t size)
{
	/* mov $15, %rax; syscall: the same since glibc 2.1 (sysdeps/unix/sysv/linux/x86_64/
	 * libc_sigaction.c, RESTORE), because unwinders know it. */
	static const unsigned char restore_rt[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

	return find(code, size, restore_rt, sizeof(restore_rt));
}

static unsigned char *put(unsigned char *p, const void *bytes, size_t size)
{
	memcpy(p, bytes, size);
	return p + size;
}
#define PUT(p, ...)                                                                                \
	put(p, (const unsigned char[]){__VA_ARGS__}, sizeof((unsigned char[]){__VA_ARGS__}))

/* mov $value, %register; @p low is the register's number in the opcode. */
static unsigned char *put_mov(unsigned char *p, unsigned low, uint64_t value)
{
	p = PUT(p, 0x48, (unsigned char)(0xb8 + low));
	return put(p, &value, sizeof(value));
}

enum { RAX = 0, RCX = 1, RDX = 2, RSI = 6, RDI = 7 };

static unsigned char *put_call(unsigned char *p, rmr_addr_t function)
{
	p = put_mov(p, RAX, function);
	return PUT(p, 0xff, 0xd0); /* call *%rax */
}

static unsigned char *put_jump(unsigned char *p, rmr_addr_t function)
{
	p = put_mov(p, RAX, function);
	return PUT(p, 0xff, 0xe0); /* jmp *%rax */
}

size_t rmr_arch_stub_create_thread(unsigned char *code, rmr_addr_t function, rmr_addr_t thread,
	rmr_addr_t entry, rmr_addr_t region)
{
	unsigned char *p = put_mov(code, RDI, thread);

	p = PUT(p, 0x31, 0xf6); /* xor %esi, %esi */
	p = put_mov(p, RDX, entry);
	p = put_mov(p, RCX, region);
	p = put_jump(p, function);
	return (size_t)(p - code);
}

size_t rmr_arch_stub_init_threads(unsigned char *code, rmr_addr_t ensure, rmr_addr_t init,
	rmr_addr_t release, rmr_addr_t munmap_function, rmr_addr_t region, uint64_t size)
{
	unsigned char *p = PUT(code, 0x53); /* push %rbx: aligns the stack too */

	p = put_call(p, ensure);
	p = PUT(p, 0x89, 0xc3); /* mov %eax, %ebx */
	p = put_call(p, init);
	p = PUT(p, 0x89, 0xdf); /* mov %ebx, %edi */
	p = put_call(p, release);
	p = PUT(p, 0x5b); /* pop %rbx */
	p = put_mov(p, RDI, region);
	p = put_mov(p, RSI, size);
	p = put_jump(p, munmap_function);
	return (size_t)(p - code);
}

rmr_addr_t rmr_arch_find_load(const unsigned char *code, size_t size, rmr_addr_t address)
{
	static const unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t at = size >= 4 && memcmp(code, endbr64, 4) == 0 ? 4 : 0;
	int32_t displacement;

	/* mov disp(%rip), %eax or %rax */
	if (at < size && code[at] == 0x48)
		at++;
	if (at + 6 > size || code[at] != 0x8b || code[at + 1] != 0x05)
		return 0;
	memcpy(&displacement, code + at + 2, sizeof(displacement));
	return address + at + 6 + (rmr_addr_t)(int64_t)displacement;
}

bool rmr_arch_is_jump(const unsigned char *code, size_t size, rmr_addr_t address,
	rmr_addr_t *target_ret)
{
	size_t opcode = 0;
	int32_t displacement;

	/* jmp rel32: e9; jcc rel32: 0f 80 to 0f 8f */
	if (size >= 5 && code[0] == 0xe9)
		opcode = 1;
	else if (size >= 6 && code[0] == 0x0f && (code[1] & 0xf0) == 0x80)
		opcode = 2;
	if (!opcode)
		return false;
	memcpy(&displacement, code + opcode, sizeof(displacement));
	*target_ret = address + opcode + 4 + (rmr_addr_t)(int64_t)displacement;
	return true;
}

bool rmr_arch_ends_in_call(const unsigned char *code, size_t size)
{
	/* call rel32 */
	if (size >= 5 && code[size - 5] == 0xe8)
		return true;
	/* call *r/m: opcode 0xff with 2 in the middle of its second byte, 2 to 7 bytes long */
	for (size_t length = 2; length <= 7 && length <= size; length++) {
		if (code[size - length] == 0xff && (code[size - length + 1] >> 3 & 7) == 2)
			return true;
	}
	return false;
}
