// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/unwind.h"

#include "attach/cleanup.h"
#include "attach/files.h"
#include "attach/log.h"
#include "attach/safe.h"
#include "attach/target_internal.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	STACK_COPY = 64 * 1024,
	MAX_FRAMES = 20000,
	MOST_COPIED = 512 << 20, /* bytes of a hostile target's files */
};

struct rmr_unwind {
	struct rmr_target *target;
	Dwfl *dwfl;
	struct rmr_safe *safe;
	rmr_addr_t restorer;
	uint64_t regs[RMR_ARCH_DWARF_REGS];
	rmr_addr_t stack_start; /* of the copy */
	size_t stack_size;
	unsigned char *stack;
	void **copies; /* files copied from memory, which libelf goes on using */
	size_t copy_count;
	uint64_t copied; /* bytes of them */
	struct rmr_unwind_trace *trace; /* of rmr_unwind_trace() */
	bool *loaded;			/* by module */
	bool stopped;			/* a thread stands still: no file may be read */
	struct rmr_module *missing;	/* the file that the latest walk needed then */
	/* of the walk under way */
	struct rmr_safe_walk walk;
	enum rmr_safe_step step;
	enum rmr_safe_place place; /* of the latest frame */
	unsigned frames;
	bool broken; /* a frame without CFI */
};

static int find_elf(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
	char **file_name, Elf **elfp)
{
	struct rmr_unwind *unwind = *userdata;
	struct rmr_module *module = rmr_target_module(unwind->target, base);
	void *copy;
	size_t size;

	(void)mod;
	(void)name;
	(void)file_name;
	if (!module)
		return -1;
	int fd = module->may_hang ? rmr_files_copy(unwind->target, module)
				  : rmr_target_open_file(unwind->target, module);
	if (module->may_hang && fd < 0 && (unwind->target->dead_minor || unwind->target->interrupted))
		return -1;
	if (fd >= 0) {
		*elfp = elf_begin(fd, ELF_C_READ_MMAP, NULL);
		/* libelf keeps the mapping and needs the descriptor no more. */
		if (*elfp)
			elf_cntl(*elfp, ELF_C_FDDONE);
		close(fd);
		if (*elfp)
			return -1;
	}
	const struct rmr_image *image = rmr_target_image(unwind->target, module);
	if (!image || unwind->copied > MOST_COPIED)
		return -1;
	struct rmr_error *err =
		rmr_image_copy_file(image, rmr_target_reader, unwind->target, &copy, &size);
	if (err) {
		rmr_error_destroy(err);
		return -1;
	}
	unwind->copied += size;
	unwind->copies[unwind->copy_count++] = copy;
	*elfp = elf_memory(copy, size);
	return -1;
}

/* Debug information is never needed, and looking for it could go as far as the network. */
static int find_no_debuginfo(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
	const char *file_name, const char *debuglink, GElf_Word crc, char **debuginfo_name)
{
	(void)mod;
	(void)userdata;
	(void)name;
	(void)base;
	(void)file_name;
	(void)debuglink;
	(void)crc;
	(void)debuginfo_name;
	return -1;
}

static const Dwfl_Callbacks module_callbacks = {
	.find_elf = find_elf,
	.find_debuginfo = find_no_debuginfo,
};

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	struct rmr_unwind *unwind = arg;

	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = unwind;
	return unwind->target->pid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	(void)dwfl;
	(void)tid;
	*thread_arg = arg;
	return true;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *result, void *arg)
{
	struct rmr_unwind *unwind = arg;

	(void)dwfl;
	if (address >= unwind->stack_start &&
		address - unwind->stack_start + sizeof(*result) <= unwind->stack_size) {
		memcpy(result, unwind->stack + (address - unwind->stack_start), sizeof(*result));
		return true;
	}
	return rmr_target_reader(unwind->target, address, result, sizeof(*result));
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	struct rmr_unwind *unwind = arg;
	Dwarf_Word regs[RMR_ARCH_DWARF_REGS];

	for (int i = 0; i < RMR_ARCH_DWARF_REGS; i++)
		regs[i] = unwind->regs[i];
	return dwfl_thread_state_registers(thread, 0, RMR_ARCH_DWARF_REGS, regs);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

static struct rmr_error *dwfl_failed(const char *what)
{
	return rmr_error_create(RMR_E_OS, 0, "libdw cannot %s: %s", what, dwfl_errmsg(-1));
}

static struct rmr_error *report_modules(struct rmr_unwind *unwind)
{
	struct rmr_target *target = unwind->target;

	dwfl_report_begin(unwind->dwfl);
	for (size_t i = 0; i < target->module_count; i++) {
		struct rmr_module *module = &target->modules[i];
		void **userdata;
		if (!module->executable)
			continue;
		Dwfl_Module *mod = dwfl_report_module(
			unwind->dwfl, module->map->path, module->start, module->end);
		if (!mod)
			return dwfl_failed("register a file");
		dwfl_module_info(mod, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
		*userdata = unwind;
	}
	dwfl_report_end(unwind->dwfl, NULL, NULL);
	return NULL;
}

struct rmr_error *rmr_unwind_create(
	struct rmr_target *target, rmr_addr_t restorer, struct rmr_unwind **ret)
{
	struct rmr_unwind *unwind = calloc(1, sizeof(*unwind));

	if (!unwind)
		return &rmr_enomem;
	elf_version(EV_CURRENT);
	unwind->target = target;
	unwind->restorer = restorer;
	unwind->stack = malloc(STACK_COPY);
	unwind->copies = calloc(target->module_count + 1, sizeof(void *));
	unwind->loaded = calloc(target->module_count + 1, sizeof(*unwind->loaded));
	struct rmr_error *err = unwind->stack && unwind->copies && unwind->loaded
					? rmr_safe_create(target, &unwind->safe)
					: &rmr_enomem;
	if (!err) {
		unwind->dwfl = dwfl_begin(&module_callbacks);
		err = unwind->dwfl ? report_modules(unwind) : &rmr_enomem;
	}
	if (!err && !dwfl_attach_state(unwind->dwfl, NULL, target->pid, &thread_callbacks, unwind))
		err = dwfl_failed("attach");
	if (err) {
		rmr_unwind_destroy(unwind);
		return err;
	}
	*ret = unwind;
	return NULL;
}

void rmr_unwind_destroy(struct rmr_unwind *unwind)
{
	if (!unwind)
		return;
	if (unwind->dwfl)
		dwfl_end(unwind->dwfl);
	for (size_t i = 0; i < unwind->copy_count; i++)
		free(unwind->copies[i]);
	rmr_safe_destroy(unwind->safe);
	free(unwind->copies);
	free(unwind->loaded);
	free(unwind->stack);
	free(unwind);
}

/* The part of the file that unwinding reads, so that no page of it is waited for later. */
static void bring_in(Elf *elf)
{
	size_t count, size, page = (size_t)sysconf(_SC_PAGESIZE);
	GElf_Phdr frames = {0}, phdr;
	char *file = elf_rawfile(elf, &size);

	if (!file || elf_getphdrnum(elf, &count) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		if (gelf_getphdr(elf, (int)i, &phdr) && phdr.p_type == PT_GNU_EH_FRAME)
			frames = phdr;
	}
	/* .eh_frame stands behind its header in the same segment. */
	for (size_t i = 0; i < count; i++) {
		if (!gelf_getphdr(elf, (int)i, &phdr) || phdr.p_type != PT_LOAD ||
			frames.p_offset < phdr.p_offset ||
			frames.p_offset - phdr.p_offset >= phdr.p_filesz)
			continue;
		uintptr_t start = (uintptr_t)(file + frames.p_offset) & ~(page - 1);
		uint64_t end = phdr.p_offset + phdr.p_filesz;
		uintptr_t stop = (uintptr_t)(file + (end < size ? end : size));
		if (start < stop && madvise((void *)start, stop - start, MADV_POPULATE_READ) < 0)
			for (; start < stop; start += page)
				(void)*(volatile char *)start; /* before Linux 5.14 */
	}
}

/* Reads what the walk of a stopped thread needs of a file. */
static void load(struct rmr_unwind *unwind, const struct rmr_module *module)
{
	Dwfl_Module *mod = dwfl_addrmodule(unwind->dwfl, module->start);
	GElf_Addr bias;

	unwind->loaded[module - unwind->target->modules] = true;
	rmr_safe_place(unwind->safe, module->start);
	if (!mod || !dwfl_module_eh_cfi(mod, &bias))
		return;
	Elf *elf = dwfl_module_getelf(mod, &bias);
	if (elf)
		bring_in(elf);
}

/*
 * A file system may hang. A thread that stands still must not wait for that: the walk breaks off,
 * and the file is read when the thread goes on.
 */
static bool can_visit(struct rmr_unwind *unwind, rmr_addr_t pc)
{
	struct rmr_module *module = rmr_target_module(unwind->target, pc);

	if (!module || unwind->loaded[module - unwind->target->modules])
		return true;
	if (unwind->stopped) {
		unwind->missing = module;
		return false;
	}
	load(unwind, module);
	return true;
}

/*
 * True if the file has CFI for @p pc. Without it libdw guesses by the frame pointer, and a guess
 * may leave frames out.
 */
static bool has_cfi(const struct rmr_unwind *unwind, rmr_addr_t pc)
{
	Dwarf_Addr bias;
	Dwarf_Frame *frame;
	Dwfl_Module *mod = dwfl_addrmodule(unwind->dwfl, pc);
	Dwarf_CFI *cfi = mod ? dwfl_module_eh_cfi(mod, &bias) : NULL;

	if (!cfi || dwarf_cfi_addrframe(cfi, pc - bias, &frame) != 0)
		return false;
	free(frame);
	return true;
}

static int visit_frame(Dwfl_Frame *frame, void *arg)
{
	struct rmr_unwind *unwind = arg;
	Dwarf_Addr pc;
	bool activation;

	if (!dwfl_frame_pc(frame, &pc, &activation))
		return DWARF_CB_ABORT;
	if (!activation)
		pc--;
	/* The innermost frame always counts as an activation: the pc is exact. */
	bool signal = activation && unwind->frames > 0;
	if (!can_visit(unwind, pc))
		return DWARF_CB_ABORT;
	unwind->place = rmr_safe_place(unwind->safe, pc);
	unwind->step = rmr_safe_next(&unwind->walk, unwind->place, signal);
	if (unwind->step != RMR_STEP_ON)
		return DWARF_CB_ABORT;
	unwind->broken = ++unwind->frames > MAX_FRAMES || !has_cfi(unwind, pc);
	return unwind->broken ? DWARF_CB_ABORT : DWARF_CB_OK;
}

/* For a chain that is shown to people: a guess by the frame pointer is better than nothing. */
static int trace_frame(Dwfl_Frame *frame, void *arg)
{
	struct rmr_unwind *unwind = arg;
	struct rmr_unwind_trace *trace = unwind->trace;
	Dwarf_Addr pc;
	bool activation;

	if (!dwfl_frame_pc(frame, &pc, &activation) || trace->count == RMR_UNWIND_TRACE_MAX)
		return DWARF_CB_ABORT;
	if (trace->count == trace->room) {
		size_t room = trace->room ? 2 * trace->room : 64;
		rmr_addr_t *more = realloc(trace->pcs, room * sizeof(*more));
		if (!more)
			return DWARF_CB_ABORT;
		trace->pcs = more;
		trace->room = room;
	}
	trace->pcs[trace->count++] = activation ? pc : pc - 1;
	trace->guessed |= !has_cfi(unwind, activation ? pc : pc - 1);
	return DWARF_CB_OK;
}

void rmr_unwind_trace(struct rmr_unwind *unwind, const struct rmr_regs *regs, rmr_addr_t start,
	const unsigned char *stack, size_t size, struct rmr_unwind_trace *ret)
{
	unsigned char *own = unwind->stack;

	rmr_arch_dwarf_regs(regs, unwind->regs);
	unwind->stack = (unsigned char *)(uintptr_t)stack;
	unwind->stack_start = start;
	unwind->stack_size = size;
	unwind->trace = ret;
	ret->count = 0;
	ret->guessed = false;
	ret->whole = dwfl_getthread_frames(
			     unwind->dwfl, unwind->target->pid, trace_frame, unwind) == 0;
	unwind->stack = own;
	unwind->stack_size = 0;
}

void rmr_unwind_symbol(struct rmr_unwind *unwind, rmr_addr_t pc, struct rmr_unwind_place *ret)
{
	Dwfl_Module *mod = dwfl_addrmodule(unwind->dwfl, pc);
	const struct rmr_module *module = rmr_target_module(unwind->target, pc);
	GElf_Off offset = 0;
	GElf_Sym symbol;

	*ret = (struct rmr_unwind_place){0};
	if (module) {
		ret->file = module->map->path;
		ret->offset = pc - module->start;
	}
	if (mod)
		ret->symbol = dwfl_module_addrinfo(mod, pc, &offset, &symbol, NULL, NULL, NULL);
	if (ret->symbol)
		ret->offset = offset;
}

static bool is_return_address(const struct rmr_unwind *unwind, rmr_addr_t address)
{
	unsigned char code[8];

	return address > sizeof(code) &&
	       rmr_target_reader(unwind->target, address - sizeof(code), code, sizeof(code)) &&
	       rmr_arch_ends_in_call(code, sizeof(code));
}

/*
 * Return addresses are always on the stack; what else looks like one can only make the thread seem
 * unsafe, but for a left-over one into a function that calls Python code: harm would need compiled
 * code that a lock-holding function of the C library called.
 */
static enum rmr_unwind_verdict scan(struct rmr_unwind *unwind)
{
	for (size_t at = 0; at + sizeof(rmr_addr_t) <= unwind->stack_size;
		at += sizeof(rmr_addr_t)) {
		rmr_addr_t word;
		memcpy(&word, unwind->stack + at, sizeof(word));
		if (word == unwind->restorer)
			return RMR_UNWIND_UNSAFE;
		if (!can_visit(unwind, word - 1))
			return RMR_UNWIND_UNKNOWN;
		switch (rmr_safe_place(unwind->safe, word - 1)) {
		case RMR_PLACE_EVAL:
			if (is_return_address(unwind, word))
				return RMR_UNWIND_SAFE;
			break;
		case RMR_PLACE_LIBC:
		case RMR_PLACE_LOADER:
		case RMR_PLACE_ALLOCATOR:
			if (is_return_address(unwind, word))
				return RMR_UNWIND_UNSAFE;
			break;
		default:
			break;
		}
	}
	return RMR_UNWIND_UNKNOWN;
}

/* 0: up to the outermost frame. */
static int walk_copy(struct rmr_unwind *unwind)
{
	unwind->frames = 0;
	unwind->place = RMR_PLACE_PROGRAM;
	unwind->step = RMR_STEP_ON;
	unwind->broken = false;
	return dwfl_getthread_frames(unwind->dwfl, unwind->target->pid, visit_frame, unwind);
}

static enum rmr_unwind_verdict walk(struct rmr_unwind *unwind, long syscall, rmr_addr_t sp)
{
	unwind->missing = NULL;
	if (rmr_arch_is_forbidden(syscall)) {
		unwind->walk.reason = "in a system call that changes memory, threads or users";
		return RMR_UNWIND_UNSAFE;
	}
	unwind->stack_start = sp & ~(rmr_addr_t)7;
	unwind->stack_size = rmr_target_read_some(
		unwind->target, unwind->stack_start, unwind->stack, STACK_COPY);
	unwind->walk = (struct rmr_safe_walk){
		.waits = rmr_arch_is_wait(syscall),
		.waits_futex = rmr_arch_is_futex(syscall),
	};
	int end = walk_copy(unwind);
	if (unwind->missing) {
		unwind->walk.reason = "in a file that is not read yet";
		return RMR_UNWIND_UNKNOWN;
	}
	if (unwind->step == RMR_STEP_ON && end == 0)
		unwind->step = rmr_safe_end(&unwind->walk);
	if (unwind->step == RMR_STEP_SAFE)
		return RMR_UNWIND_SAFE;
	if (unwind->step == RMR_STEP_UNSAFE && unwind->place != RMR_PLACE_UNKNOWN)
		return RMR_UNWIND_UNSAFE;
	/* What stands above the C library's own frames says nothing of what it is doing. */
	if (unwind->walk.last && !unwind->walk.left_libc) {
		unwind->walk.reason = "in the C library";
		return RMR_UNWIND_UNSAFE;
	}
	unwind->walk.reason = "in code without unwind information";
	return scan(unwind);
}

enum rmr_unwind_verdict rmr_unwind_warm(
	struct rmr_unwind *unwind, rmr_addr_t pc, rmr_addr_t sp, long syscall)
{
	rmr_arch_dwarf_regs_partial(pc, sp, unwind->regs);
	unwind->stopped = false;
	return walk(unwind, syscall, sp);
}

enum rmr_unwind_verdict rmr_unwind_check(
	struct rmr_unwind *unwind, const struct rmr_regs *regs, const char **reason)
{
	rmr_arch_dwarf_regs(regs, unwind->regs);
	unwind->stopped = true;
	enum rmr_unwind_verdict verdict = walk(unwind, rmr_arch_syscall(regs), rmr_arch_sp(regs));
	if (reason)
		*reason = unwind->walk.reason;
	return verdict;
}

void rmr_unwind_load_usual(struct rmr_unwind *unwind)
{
	load(unwind, unwind->target->interpreter);
	load(unwind, unwind->target->libc);
	/* For a thread that is stopped while the program starts (rmr_program_is_loading()). */
	struct rmr_module *loader = rmr_target_module(unwind->target, unwind->target->loader);
	if (loader)
		rmr_target_image(unwind->target, loader);
}

bool rmr_unwind_load_missing(struct rmr_unwind *unwind)
{
	if (!unwind->missing)
		return false;
	/* The rest of the stack as it was then may need more. */
	unwind->stopped = false;
	unwind->walk = (struct rmr_safe_walk){
		.waits = unwind->walk.waits,
		.waits_futex = unwind->walk.waits_futex,
	};
	load(unwind, unwind->missing);
	unwind->missing = NULL;
	walk_copy(unwind);
	return true;
}

bool rmr_unwind_is_in_eval(struct rmr_unwind *unwind, rmr_addr_t pc)
{
	return rmr_safe_place(unwind->safe, pc) == RMR_PLACE_EVAL;
}
