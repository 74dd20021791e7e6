// SPDX-License-Identifier: GPL-3.0-or-later
// The first code on the new thread P: position-independent, in 8 KB, no data of its own. It brings
// the agent's image in, calls it, and is the last to leave.
#include "inject/agent/message.h"
#include "inject/protocol.h"
#include "payloads/freestanding.h"

// The C library's headers give types and constants only; nothing of it is called.
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

// How long P waits for remora at each step before it leaves by itself.
#define PATIENCE_S 2

typedef int agent_main(int fd, struct rmr_boot *boot, uint64_t image, uint64_t image_size);

static bool wait_readable(int fd)
{
	struct pollfd poll = {.fd = fd, .events = POLLIN};
	struct timespec timeout = {.tv_sec = PATIENCE_S};

	// With signal 33 open EINTR happens; ppoll has then counted the timeout down.
	return rmr_sys_retry(__NR_ppoll, &poll, 1, &timeout, 0, 0) == 1 && (poll.revents & POLLIN);
}

/** Receives a frame of that type and size; with @p channel also a descriptor, else -1 there. */
static bool receive(int fd, uint32_t type, void *frame, size_t size, int *channel)
{
	const struct rmr_frame *head = frame;
	int got;

	if (!wait_readable(fd) || rmr_message_receive(fd, frame, size, &got) != size)
		return false;
	if (channel)
		*channel = got;
	return head->type == type;
}

/**
 * The channel: one end of a pair that remora has made. The first pair cannot be it: both its ends
 * stand in the program's table, and a child that it forks in that moment would keep remora's end
 * open, so that the agent never noticed remora's death.
 */
static int get_channel(const int *pair, struct rmr_hello *hello)
{
	int channel = -1;
	bool greeted = receive(pair[0], RMR_FRAME_HELLO, hello, sizeof(*hello), &channel) &&
		       hello->version == RMR_PROTOCOL_VERSION;

	rmr_sys(__NR_close, pair[0]);
	rmr_sys(__NR_close, pair[1]);
	if (greeted)
		return channel;
	if (channel >= 0)
		rmr_sys(__NR_close, channel);
	return -1;
}

/** Brings the agent in and runs it. False: it was not run, the channel is still to be closed. */
static bool serve(int fd, const struct rmr_hello *hello_in, struct rmr_boot *boot)
{
	const struct rmr_hello hello = *hello_in;

	// Mapped executable and never writable; remora writes it through /proc/PID/mem.
	long image = rmr_sys(__NR_mmap, 0, hello.image_size, PROT_READ | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct rmr_mapped mapped = {.frame = {.type = RMR_FRAME_MAPPED}, .address = image};
	rmr_sys_retry(__NR_sendto, fd, &mapped, sizeof(mapped), MSG_NOSIGNAL, 0, 0);
	if (rmr_sys_failed(image))
		return false;
	// A fork by the program while remora is here must not take the image along (but for the
	// stacks in it: rmr_agent_inherit()).
	rmr_sys(__NR_madvise, image, hello.image_size, MADV_DONTFORK);

	struct rmr_start start;
	bool ran = false;
	if (receive(fd, RMR_FRAME_START, &start, sizeof(start), 0) &&
		start.data_offset <= hello.image_size && start.entry_offset < hello.image_size &&
		!rmr_sys_failed(rmr_sys(__NR_mprotect, image + (long)start.data_offset,
			hello.image_size - start.data_offset, PROT_READ | PROT_WRITE))) {
		agent_main *enter = (agent_main *)(image + (long)start.entry_offset);
		enter(fd, boot, (uint64_t)image, hello.image_size);
		ran = true;
	}
	rmr_sys(__NR_munmap, image, hello.image_size);
	return ran;
}

/** 0, or -errno and nothing is open. */
static long make_pair(int *pair)
{
	long error =
		rmr_sys(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);

	if (rmr_sys_failed(error))
		return error;
	for (int i = 0; i < 2; i++)
		pair[i] = rmr_message_above_standard(pair[i]);
	if (pair[0] >= 0 && pair[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++) {
		if (pair[i] >= 0)
			rmr_sys(__NR_close, pair[i]);
	}
	return -EMFILE;
}

/** All but the last act; returns the C library's munmap. */
__attribute__((used)) static void *boot(char *region)
{
	struct rmr_boot *args = (struct rmr_boot *)(region + RMR_BOOT_OFFSET);
	unsigned long (*self)(void) = (unsigned long (*)(void))args->libc.pthread_self;
	int (*detach)(unsigned long) = (int (*)(unsigned long))args->libc.pthread_detach;
	void *unmap = args->libc.munmap;

	detach(self());
	if (rmr_sys_failed(rmr_sys(__NR_mprotect, args, 4096, PROT_READ | PROT_WRITE)))
		return unmap;
	rmr_sys(__NR_madvise, region, RMR_BOOT_REGION, MADV_DONTFORK);
	args->tid = (int32_t)rmr_sys(__NR_gettid);
	long error = make_pair(args->fd);
	args->error = (int32_t)error;
	struct stat st;
	if (!rmr_sys_failed(error) && !rmr_sys_failed(rmr_sys(__NR_fstat, args->fd[1], &st)))
		args->inode = st.st_ino;
	__atomic_store_n(&args->state, error < 0 ? RMR_BOOT_FAILED : RMR_BOOT_READY,
		__ATOMIC_RELEASE);
	if (rmr_sys_failed(error)) {
		// remora reads the error in this page: leave it some time.
		struct timespec pause = {.tv_nsec = 100000000};
		rmr_sys(__NR_nanosleep, &pause, 0);
		return unmap;
	}
	struct rmr_hello hello;
	int channel = get_channel(args->fd, &hello);
	if (channel >= 0 && !serve(channel, &hello, args))
		rmr_sys(__NR_close, channel);
	return unmap;
}

// `void *entry(void *region)`, at offset 0 of the region. The thread's last act is a jump to the C
// library's munmap, which takes this code away and returns into the C library's thread start; a
// call would return into nothing.
__asm__(".section .text.entry,\"ax\",@progbits\n"
	".globl rmr_boot_entry\n"
	"rmr_boot_entry:\n"
	"	push %rbx\n"
	"	mov %rdi, %rbx\n"
	"	call boot\n"
	"	mov %rbx, %rdi\n"
	"	mov $12288, %esi\n"
	"	pop %rbx\n"
	"	jmp *%rax\n"
	".previous\n");
_Static_assert(RMR_BOOT_REGION == 12288, "the size in rmr_boot_entry");
