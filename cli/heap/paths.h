// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Why is an object alive: the shortest named paths from a root to it.
 *
 * A path is searched over references that have names first; over all references where there is
 * none. Shorter paths come first, by the steps that a person reads; at equal length those from
 * modules, then frames, then threads;
 * paths from static objects, and from what a frame holds beside its locals, only where there are
 * no others; a holder in C only where there is no path from a root at all.
 */
#ifndef RMR_CLI_HEAP_PATHS_H
#define RMR_CLI_HEAP_PATHS_H

#include "cli/heap/heap.h"

struct rmr_path_step {
	uint32_t id;    /**< the object after the step */
	char *name;     /**< ".attr", "['k']", ...; "<reference 2>" where it has none */
	bool has_name;
};

enum rmr_path_start {
	RMR_PATH_ROOT,        /**< a root of the dump */
	RMR_PATH_HELD_BY_C,   /**< step 0's object is held by C code (rc exceeds what was found, or it
	                         is immortal) */
	RMR_PATH_UNREACHABLE, /**< nothing holds step 0's object but a cycle, or the dump has no roots */
};

struct rmr_path {
	enum rmr_path_start start;
	uint32_t root;      /**< index of the root, for RMR_PATH_ROOT */
	char *expression;   /**< sys.modules['app'].CACHE['k'][3].next; .__dict__['x'] folded to .x */
	bool is_expression; /**< Python finds the object by it (of a frame or a
	                         sub-interpreter: behind it): every
	                         step has a name of Python's own, the start too, all are written out */
	size_t count;
	struct rmr_path_step *steps; /**< from the object that the root holds to the asked one */
};

struct rmr_paths {
	size_t count; /**< at least 1 */
	struct rmr_path *paths;
};

struct rmr_paths_options {
	size_t limit;                 /**< how many paths at most; 0 is 1 */
	const char *const *avoid;     /**< type names, addresses (decimal or 0x), or "weak" */
	size_t avoid_count;
};

/**
 * The paths to @p id. Each enters by another module, frame or root, by the shortest way from there
 * that shares no object with a path before it but where they run together to the end.
 * @param options  NULL for one path
 * @return RMR_E_QUERY for an unknown word in avoid
 */
struct rmr_error *rmr_paths_find(const struct rmr_heap *heap, uint32_t id,
	const struct rmr_paths_options *options, struct rmr_paths **ret) RMR_MUST_CHECK;
void rmr_paths_destroy(struct rmr_paths *paths);

#endif
