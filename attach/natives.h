// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  The C frames of stacks: copied while a thread stands still, unwound after it. */
#ifndef RMR_ATTACH_NATIVES_H
#define RMR_ATTACH_NATIVES_H

#include "attach/arch.h"
#include "attach/stacks.h"

struct rmr_natives;

/** @p target must outlive it. */
struct rmr_error *rmr_natives_create(struct rmr_target *target,
	struct rmr_natives **ret) RMR_MUST_CHECK;
void rmr_natives_destroy(struct rmr_natives *natives);

/** Copies the registers and the used part of the stack of a thread that stands still. */
void rmr_natives_copy(struct rmr_natives *natives, const struct rmr_regs *regs);

/** Sets the natives of @p stack by the latest copy; their texts live as long as @p natives. False if
 *  remora is out of memory. */
bool rmr_natives_unwind(struct rmr_natives *natives, struct rmr_stack *stack);

/**
 * Gives each C frame that evaluates the Python frames that it runs. @p entries: of each Python frame,
 * innermost first, whether the loop was entered with it. False, with nothing changed, if the numbers
 * do not agree. Pure.
 */
bool rmr_natives_merge(
	struct rmr_stack_native *natives, size_t native_count, const bool *entries, size_t count);

#endif
