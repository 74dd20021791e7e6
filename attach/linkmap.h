// SPDX-License-Identifier: GPL-3.0-or-later
/** @file  Which files the dynamic loader has loaded for the program itself. */
#ifndef RMR_ATTACH_LINKMAP_H
#define RMR_ATTACH_LINKMAP_H

#include "attach/target_internal.h"

/**
 * True if @p module is in the loader's list of the program's own files: not one that dlmopen() or an
 * auditor loaded into a list of its own (a second C library mostly), nor a file that was only mapped.
 */
bool rmr_linkmap_has(const struct rmr_target *target, struct rmr_module *module);

/** True if the loader is at work: it starts the program, or brings in or removes a library. */
bool rmr_linkmap_is_changing(const struct rmr_target *target);

#endif
