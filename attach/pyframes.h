// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The Python frames of one thread, read from outside: from its thread state along the chain of
 * frames, none of which is an object from 3.11 on.
 */
#ifndef RMR_ATTACH_PYFRAMES_H
#define RMR_ATTACH_PYFRAMES_H

#include "attach/objects.h"

enum { RMR_PYFRAMES_MAX = 100000 }; /**< frames of one thread that are read */

/** What a code object says of itself. */
struct rmr_pycode {
	char *function;	 /**< co_name; "?" if it cannot be read */
	char *qualname;	 /**< co_qualname, 3.11 and later; NULL otherwise */
	char *file;	 /**< co_filename; "?" if it cannot be read */
	/* own */
	rmr_addr_t address;
	rmr_addr_t parts[4]; /* of those and the line table: what tells another code at its address */
	int32_t first;
	unsigned char *table;
	size_t table_size;
	int64_t last_lasti;
	int32_t last_line;
};

/** The code objects met so far. Zeroed is empty. */
struct rmr_pycodes {
	struct rmr_pycode **codes;
	size_t count, room;
	uint32_t *slots;
	unsigned bits;
};

void rmr_pycodes_deinit(struct rmr_pycodes *codes);

struct rmr_pyframe {
	struct rmr_pycode *code; /**< of the codes that were passed; never NULL */
	int64_t lasti;	       /**< byte offset of the instruction */
	rmr_addr_t address;
	/** The evaluation loop of C was entered with it: the frames inside, up to the next such, are run
	 *  by the same C frame. */
	bool entry;
};

enum rmr_pyframes_end {
	RMR_PYFRAMES_WHOLE,   /**< up to the outermost */
	RMR_PYFRAMES_CUT,     /**< more than RMR_PYFRAMES_MAX, or time was up */
	RMR_PYFRAMES_BROKEN,  /**< it does not hang together: the thread ran meanwhile */
	RMR_PYFRAMES_NO_MEMORY,
};

/** Innermost first. Zeroed is empty. */
struct rmr_pyframes {
	struct rmr_pyframe *frames;
	size_t count, room;
	enum rmr_pyframes_end end;
};

void rmr_pyframes_deinit(struct rmr_pyframes *frames);

/**
 * Reads the chain of the thread state at @p thread into @p ret, whose frames are replaced. @p deadline:
 * of rmr_log_now(), 0 for none. To be believed only if the thread did not run meanwhile.
 */
void rmr_pyframes_read(const struct rmr_objects *objects, rmr_addr_t thread,
	struct rmr_pycodes *codes, uint64_t deadline, struct rmr_pyframes *ret);

/** True if both hold the same frames, at the same instructions. */
bool rmr_pyframes_equal(const struct rmr_pyframes *a, const struct rmr_pyframes *b);

/** The line that @p frame is at; -1 if its instruction has none. */
int32_t rmr_pyframes_line(const struct rmr_objects *objects, const struct rmr_pyframe *frame);

#endif
