// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The little C library of code that runs inside a target: raw system calls and memory functions.
 * Such code links against nothing, so that one binary serves every C library. Linux x86_64 only
 * (a port adds its own rmr_sys6 here).
 */
#ifndef RMR_PAYLOADS_FREESTANDING_H
#define RMR_PAYLOADS_FREESTANDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <asm/unistd.h>

/** One raw system call; the result is the kernel's: -errno on failure. */
static inline long rmr_sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	long ret;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#define RMR_SYS_PICK(_1, _2, _3, _4, _5, _6, _7, NAME, ...) NAME
#define RMR_SYS_7(n, a, b, c, d, e, f)                                                             \
	rmr_sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define RMR_SYS_6(n, a, b, c, d, e) RMR_SYS_7(n, a, b, c, d, e, 0)
#define RMR_SYS_5(n, a, b, c, d) RMR_SYS_7(n, a, b, c, d, 0, 0)
#define RMR_SYS_4(n, a, b, c) RMR_SYS_7(n, a, b, c, 0, 0, 0)
#define RMR_SYS_3(n, a, b) RMR_SYS_7(n, a, b, 0, 0, 0, 0)
#define RMR_SYS_2(n, a) RMR_SYS_7(n, a, 0, 0, 0, 0, 0)
#define RMR_SYS_1(n) RMR_SYS_7(n, 0, 0, 0, 0, 0, 0)
/** rmr_sys(__NR_x, args...): up to six arguments, cast to long; retries nothing. */
#define rmr_sys(...)                                                                               \
	RMR_SYS_PICK(__VA_ARGS__, RMR_SYS_7, RMR_SYS_6, RMR_SYS_5, RMR_SYS_4, RMR_SYS_3,           \
		RMR_SYS_2, RMR_SYS_1)                                                              \
	(__VA_ARGS__)

/** As rmr_sys(), again and again while the answer is -EINTR. */
#define rmr_sys_retry(...)                                                                         \
	({                                                                                         \
		long rmr_ret_;                                                                     \
		do                                                                                 \
			rmr_ret_ = rmr_sys(__VA_ARGS__);                                           \
		while (rmr_ret_ == -4);                                                            \
		rmr_ret_;                                                                          \
	})

/** True if a raw system call's result says failure. */
static inline bool rmr_sys_failed(long ret)
{
	return ret < 0 && ret >= -4095;
}

// gcc emits calls to these four; freestanding.c defines them, hidden.
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);

#endif
