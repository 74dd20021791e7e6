// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * A text that grows. After memory ran out once, everything is ignored and the result is NULL.
 */
#ifndef RMR_CLI_HEAP_TEXT_H
#define RMR_CLI_HEAP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmr_text {
	char *data; /**< NUL-terminated if not NULL */
	size_t size, room;
	bool failed;
};

void rmr_text_add(struct rmr_text *text, const char *data, size_t size);
void rmr_text_put(struct rmr_text *text, const char *string);
void rmr_text_format(struct rmr_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** One character as UTF-8; what is no character to print as \xNN, \uNNNN or \UNNNNNNNN. */
void rmr_text_char(struct rmr_text *text, uint32_t code);
/** "1,234,567". */
void rmr_text_count(struct rmr_text *text, uint64_t count);
/** "12.3 MiB", as the tables have it. */
void rmr_text_bytes(struct rmr_text *text, uint64_t bytes);
/** The text, malloc()ed ("" if nothing was added), or NULL; the struct is empty after. */
char *rmr_text_take(struct rmr_text *text);
/** Throws it away. */
void rmr_text_deinit(struct rmr_text *text);

#endif
