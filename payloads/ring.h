// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A byte ring in shared memory: one producer (the twin), one consumer (remora).
 *
 * remora makes a memfd and maps it; the producer gets the descriptor and maps it too. The data area
 * is mapped twice in a row, so that every record is contiguous in memory. Everything here is inline
 * and needs only raw system calls, so that both sides share one text.
 *
 *     tool: rmr_ring_create() -> descriptor to the target -> peek, consume, ... -> destroy
 *     twin: rmr_ring_map()    -> reserve, publish, ...    -> rmr_ring_finish()
 *
 * The consumer trusts no word of the shared memory: its own position is private, the producer's is
 * checked at every read, and a nonsensical one is RMR_RING_BROKEN. What the bytes mean is checked by
 * whoever reads them; they may change while they are read, so a reader copies a field before it
 * checks it.
 *
 * All waits are bounded. The futexes are shared ones (not FUTEX_PRIVATE): the two sides are two
 * processes.
 */
#ifndef RMR_PAYLOADS_RING_H
#define RMR_PAYLOADS_RING_H

#include "payloads/freestanding.h"

enum {
	RMR_RING_CAPACITY = 4 << 20,  /**< bytes of data; a power of two */
	RMR_RING_HEAD_SIZE = 4096,    /**< the control page before the data */
	RMR_RING_MAX_RESERVE = 1 << 20,
	RMR_RING_SLICE_MS = 50,       /**< the longest single sleep */
	RMR_RING_PATIENCE_MS = 10000, /**< how long the producer waits for room without a sign of life */
};

#define RMR_RING_MAGIC UINT64_C(0x676e6972726d7201)

/** The first page of the shared memory. Positions count bytes since the start and never wrap. */
struct rmr_ring_shared {
	uint64_t magic;
	uint64_t capacity;
	uint64_t pad0[6];
	// Written by the producer, on a cache line of its own.
	uint64_t head;             /**< bytes published */
	uint32_t finished;         /**< 1: nothing follows what is published */
	uint32_t producer_waits;   /**< 1: the producer sleeps on space_seq */
	uint32_t data_seq;         /**< futex: moves when head moves and somebody sleeps */
	uint32_t pad1[11];
	// Written by the consumer.
	uint64_t tail;             /**< bytes consumed */
	uint32_t closed;           /**< 1: the consumer reads no more */
	uint32_t consumer_waits;   /**< 1: the consumer sleeps on data_seq */
	uint32_t space_seq;        /**< futex */
	uint32_t beat;             /**< moves while remora runs, be its output blocked or not; or is 0 */
	uint32_t pad2[10];
};

/** One side's private view. Zeroed = not mapped. */
struct rmr_ring {
	struct rmr_ring_shared *shared;
	unsigned char *data;       /**< RMR_RING_CAPACITY bytes, mapped twice in a row */
	uint64_t position;         /**< this side's own position: the other cannot change it */
	uint64_t other;            /**< the other side's position as last seen */
	uint64_t published;        /**< producer: what head says */
	int peer_fd;               /**< producer: a descriptor whose HUP means remora is gone, or -1 */
	bool urgent;               /**< producer: something waits for it: only progress is a sign of life */
	uint32_t beat;             /**< producer: as last seen */
	uint32_t waited_ms;        /**< producer: since the last sign of life */
};

enum rmr_ring_status {
	RMR_RING_OK,
	RMR_RING_TIMEOUT,
	RMR_RING_FINISHED, /**< consumer: everything was read and the producer is done */
	RMR_RING_CLOSED,   /**< producer: the consumer reads no more */
	RMR_RING_BROKEN,   /**< consumer: the producer's words make no sense */
};

/**
 * Maps @p fd (a memfd of rmr_ring_create()) into this process: both sides.
 * @return 0, or a negative errno. @p fd may be closed afterwards.
 */
static inline long rmr_ring_map(struct rmr_ring *ring, int fd)
{
	enum { READ_WRITE = 3, SHARED = 1, FIXED = 0x10, ANONYMOUS = 0x22 };
	size_t size = RMR_RING_HEAD_SIZE + 2 * (size_t)RMR_RING_CAPACITY;
	long base = rmr_sys(__NR_mmap, 0, size, 0, ANONYMOUS, -1, 0);

	if (rmr_sys_failed(base))
		return base;
	long first = rmr_sys(__NR_mmap, base, RMR_RING_HEAD_SIZE + RMR_RING_CAPACITY, READ_WRITE,
		SHARED | FIXED, fd, 0);
	long second = rmr_sys(__NR_mmap, base + RMR_RING_HEAD_SIZE + RMR_RING_CAPACITY,
		RMR_RING_CAPACITY, READ_WRITE, SHARED | FIXED, fd, RMR_RING_HEAD_SIZE);
	if (rmr_sys_failed(first) || rmr_sys_failed(second)) {
		rmr_sys(__NR_munmap, base, size);
		return rmr_sys_failed(first) ? first : second;
	}
	*ring = (struct rmr_ring){
		.shared = (struct rmr_ring_shared *)base,
		.data = (unsigned char *)base + RMR_RING_HEAD_SIZE,
		.peer_fd = -1,
	};
	return 0;
}

/** Unmaps the ring; NULL or never mapped is legal. Does not tell the other side. */
static inline void rmr_ring_unmap(struct rmr_ring *ring)
{
	if (!ring || !ring->shared)
		return;
	rmr_sys(__NR_munmap, ring->shared,
		RMR_RING_HEAD_SIZE + 2 * (size_t)RMR_RING_CAPACITY);
	ring->shared = NULL;
}

/**
 * Tool side: makes the shared memory and maps it.
 * @param fd_ret  the memfd (close-on-exec, the caller closes it) to be given to the producer
 * @return 0, or a negative errno
 */
static inline long rmr_ring_create(struct rmr_ring *ring, int *fd_ret)
{
	enum { CLOEXEC = 1, ALLOW_SEALING = 2, ADD_SEALS = 1033, SEAL = 1, SHRINK = 2, GROW = 4 };
	long fd = rmr_sys(__NR_memfd_create, "remora-ring", CLOEXEC | ALLOW_SEALING);

	if (rmr_sys_failed(fd))
		return fd;
	long ret = rmr_sys(__NR_ftruncate, fd, RMR_RING_HEAD_SIZE + RMR_RING_CAPACITY);
	// A producer that shortens the file could end the consumer by SIGBUS.
	if (!rmr_sys_failed(ret))
		ret = rmr_sys(__NR_fcntl, fd, ADD_SEALS, SEAL | SHRINK | GROW);
	if (!rmr_sys_failed(ret))
		ret = rmr_ring_map(ring, (int)fd);
	if (rmr_sys_failed(ret)) {
		rmr_sys(__NR_close, fd);
		return ret;
	}
	ring->shared->capacity = RMR_RING_CAPACITY;
	ring->shared->magic = RMR_RING_MAGIC;
	*fd_ret = (int)fd;
	return 0;
}

// Sleeps at most @p ms while *word == value.
static inline void rmr_ring_sleep(uint32_t *word, uint32_t value, long ms)
{
	enum { WAIT = 0 };
	struct {
		int64_t sec, nsec;
	} time = {ms / 1000, ms % 1000 * 1000000};

	rmr_sys(__NR_futex, word, WAIT, value, &time, 0, 0);
}

// Wakes the other side if it said that it sleeps.
static inline void rmr_ring_wake(uint32_t *waits, uint32_t *seq)
{
	enum { WAKE = 1 };

	// The full barrier orders our position before the read of the flag; the sleeper sets the flag
	// before it reads our position.
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(waits, __ATOMIC_RELAXED))
		return;
	__atomic_fetch_add(seq, 1, __ATOMIC_RELEASE);
	rmr_sys(__NR_futex, seq, WAKE, 1, 0, 0, 0);
}

// ---- producer ----

/** Makes what was written so far visible to the consumer. */
static inline void rmr_ring_publish(struct rmr_ring *ring)
{
	if (ring->published == ring->position)
		return;
	ring->published = ring->position;
	__atomic_store_n(&ring->shared->head, ring->position, __ATOMIC_RELEASE);
	rmr_ring_wake(&ring->shared->consumer_waits, &ring->shared->data_seq);
}

/** True if @p fd (a socket or a pipe) has lost its other end. */
static inline bool rmr_ring_peer_is_gone(int fd)
{
	enum { ERR = 8, HUP = 16, INVALID = 32 };
	struct {
		int fd;
		short events, revents;
	} poll = {fd, 0, 0};

	if (fd < 0 || rmr_sys_retry(__NR_poll, &poll, 1, 0) <= 0)
		return false;
	return (poll.revents & (ERR | HUP | INVALID)) != 0;
}

/** After a sleep for room: false if the consumer has given no sign of life for too long. */
static inline bool rmr_ring_is_attended(struct rmr_ring *ring)
{
	uint32_t beat = __atomic_load_n(&ring->shared->beat, __ATOMIC_RELAXED);

	ring->waited_ms += RMR_RING_SLICE_MS;
	if (!ring->urgent && (beat == 0 || beat != ring->beat))
		ring->waited_ms = 0;
	ring->beat = beat;
	return ring->waited_ms < RMR_RING_PATIENCE_MS;
}

/**
 * Waits until @p size bytes (at most RMR_RING_MAX_RESERVE) can be written at rmr_ring_at().
 * What was not yet published is published first when it has to wait. Calling it again before
 * rmr_ring_advance() is legal.
 * @return RMR_RING_OK or RMR_RING_CLOSED: also if the consumer gives no sign of life (it may be stopped)
 */
static inline enum rmr_ring_status rmr_ring_reserve(struct rmr_ring *ring, size_t size)
{
	struct rmr_ring_shared *shared = ring->shared;

	if (ring->position + size - ring->other <= RMR_RING_CAPACITY)
		return RMR_RING_OK;
	for (;;) {
		ring->other = __atomic_load_n(&shared->tail, __ATOMIC_ACQUIRE);
		if (__atomic_load_n(&shared->closed, __ATOMIC_RELAXED))
			return RMR_RING_CLOSED;
		if (ring->position + size - ring->other <= RMR_RING_CAPACITY) {
			ring->waited_ms = 0;
			return RMR_RING_OK;
		}
		rmr_ring_publish(ring);
		uint32_t seq = __atomic_load_n(&shared->space_seq, __ATOMIC_ACQUIRE);
		__atomic_store_n(&shared->producer_waits, 1, __ATOMIC_SEQ_CST);
		uint64_t tail = __atomic_load_n(&shared->tail, __ATOMIC_SEQ_CST);
		if (tail == ring->other && !__atomic_load_n(&shared->closed, __ATOMIC_RELAXED)) {
			rmr_ring_sleep(&shared->space_seq, seq, RMR_RING_SLICE_MS);
			if (rmr_ring_peer_is_gone(ring->peer_fd) || !rmr_ring_is_attended(ring))
				return RMR_RING_CLOSED;
		}
		__atomic_store_n(&shared->producer_waits, 0, __ATOMIC_RELAXED);
	}
}

/** Where the next reserved byte goes. */
static inline void *rmr_ring_at(const struct rmr_ring *ring)
{
	return ring->data + (ring->position & (RMR_RING_CAPACITY - 1));
}

/** Takes @p size reserved bytes as written; rmr_ring_publish() makes them visible. */
static inline void rmr_ring_advance(struct rmr_ring *ring, size_t size)
{
	ring->position += size;
}

/** Publishes everything and says that nothing follows. */
static inline void rmr_ring_finish(struct rmr_ring *ring)
{
	rmr_ring_publish(ring);
	__atomic_store_n(&ring->shared->finished, 1, __ATOMIC_RELEASE);
	rmr_ring_wake(&ring->shared->consumer_waits, &ring->shared->data_seq);
}

// ---- consumer ----

/**
 * The published bytes that were not yet consumed. Waits up to @p timeout_ms for the first.
 * @param bytes_ret  valid until rmr_ring_consume(); the producer may still scribble on them
 * @param size_ret   1 to RMR_RING_CAPACITY
 * @return RMR_RING_OK, TIMEOUT, FINISHED or BROKEN; the out parameters are set with OK only
 */
static inline enum rmr_ring_status rmr_ring_peek(struct rmr_ring *ring, const void **bytes_ret,
	size_t *size_ret, unsigned timeout_ms)
{
	struct rmr_ring_shared *shared = ring->shared;
	unsigned waited = 0;

	for (;;) {
		uint32_t finished = __atomic_load_n(&shared->finished, __ATOMIC_ACQUIRE);
		uint64_t head = __atomic_load_n(&shared->head, __ATOMIC_ACQUIRE);
		if (head - ring->position > RMR_RING_CAPACITY)
			return RMR_RING_BROKEN;
		if (head != ring->position) {
			*bytes_ret = ring->data + (ring->position & (RMR_RING_CAPACITY - 1));
			*size_ret = head - ring->position;
			return RMR_RING_OK;
		}
		if (finished)
			return RMR_RING_FINISHED;
		if (waited >= timeout_ms)
			return RMR_RING_TIMEOUT;
		unsigned slice = timeout_ms - waited;
		slice = slice < RMR_RING_SLICE_MS ? slice : RMR_RING_SLICE_MS;
		uint32_t seq = __atomic_load_n(&shared->data_seq, __ATOMIC_ACQUIRE);
		__atomic_store_n(&shared->consumer_waits, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&shared->head, __ATOMIC_SEQ_CST) == ring->position &&
			!__atomic_load_n(&shared->finished, __ATOMIC_SEQ_CST)) {
			rmr_ring_sleep(&shared->data_seq, seq, slice);
			waited += slice;
		}
		__atomic_store_n(&shared->consumer_waits, 0, __ATOMIC_RELAXED);
	}
}

/** Gives @p size peeked bytes back to the producer. */
static inline void rmr_ring_consume(struct rmr_ring *ring, size_t size)
{
	ring->position += size;
	__atomic_store_n(&ring->shared->tail, ring->position, __ATOMIC_RELEASE);
	rmr_ring_wake(&ring->shared->producer_waits, &ring->shared->space_seq);
}

/** Tells the producer to stop, and unmaps. Never mapped is legal. */
static inline void rmr_ring_close(struct rmr_ring *ring)
{
	if (!ring->shared)
		return;
	__atomic_store_n(&ring->shared->closed, 1, __ATOMIC_SEQ_CST);
	rmr_ring_wake(&ring->shared->producer_waits, &ring->shared->space_seq);
	rmr_ring_unmap(ring);
}

#endif
