// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Where built-in types written in C keep their references: for the names, and for the references
 * that their tp_traverse does not visit. T_OBJECT members of a type need no rule (types.c).
 */
#ifndef RMR_PAYLOADS_HEAP_DUMP_RULES_H
#define RMR_PAYLOADS_HEAP_DUMP_RULES_H

#include <stdbool.h>
#include <stdint.h>

struct rmr_rule_field {
	uint16_t offset;  /**< in the object, 16-byte header; 0 ends the list */
	bool borrowed;    /**< holds no reference count */
	const char *name; /**< attribute; "<what it is>" where Python has none for it; or NULL for no name */
};

struct rmr_rule {
	const char *type;    /**< tp_name */
	uint8_t first, last; /**< minor versions */
	struct rmr_rule_field fields[16];
};

/** Ends with a row whose type is NULL. */
extern const struct rmr_rule rmr_rules[];

#endif
