// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * The commands: rows of one constant table, which serves the command line, the shell, the help and
 * the manual page.
 */
#ifndef RMR_CLI_COMMAND_H
#define RMR_CLI_COMMAND_H

#include "cli/args.h"
#include "cli/view/view.h"

#include <limits.h>
#include <stdio.h>
#include <sys/types.h>

struct rmr_dump_settings;
struct rmr_session;
struct rmr_snapshot;
struct rmr_shell;

enum {
	/** rmr_context.timeout_ms when the person did not choose: DESIGN's defaults apply. */
	RMR_TIMEOUT_UNSET = UINT_MAX,
};

/** What the person set for all commands; the shell keeps one from line to line. */
struct rmr_context {
	FILE *out;		/**< where results go */
	struct rmr_style style; /**< the defaults; rmr_command_view() applies a command's options */
	bool limit_set;
	uint64_t limit;	     /**< rows of a table, if limit_set; 0 = all */
	unsigned timeout_ms; /**< how long to wait for a reply; 0 = for ever; RMR_TIMEOUT_UNSET */
	const struct rmr_dump_settings
		*dump;		 /**< of the dumps taken of a PID; NULL: the defaults */
	struct rmr_shell *shell; /**< NULL on the command line */
	/** In a shell, what the implied HEAP or PID is; owned by the shell. */
	struct rmr_snapshot *snapshot;
	struct rmr_snapshot *previous; /**< the one before, or NULL */
	pid_t pid;		       /**< in a shell on a process, else 0 */
	struct rmr_session *session;   /**< with it, kept from one `py` to the next, or NULL */
	/** Set by a command that succeeded and still wants a status: a payload's own code. */
	int status;
	/** If not 0: the exit status of remora's own failures (`run --pass-exit`: 125). */
	int failure_status;
};

/** One call of a command. */
struct rmr_call {
	const struct rmr_command *command;
	struct rmr_args args;	       /**< the operands are those behind PID or HEAP */
	pid_t pid;		       /**< of a command with RMR_COMMAND_PID */
	struct rmr_snapshot *snapshot; /**< of a command with RMR_COMMAND_HEAP */
};

enum rmr_command_flags {
	RMR_COMMAND_PID = 1 << 0,  /**< its first operand is PID, implied in a shell on a process */
	RMR_COMMAND_HEAP = 1 << 1, /**< its first operand is HEAP, implied in a shell */
	RMR_COMMAND_HEAPS = 1 << 2, /**< it takes several HEAPs and opens them itself */
	RMR_COMMAND_TABLE = 1 << 3, /**< it takes --format and --exact */
	RMR_COMMAND_LIMIT = 1 << 4, /**< and --limit */
	/** Options end at its first own operand: `run PID PAYLOAD ARG...`. */
	RMR_COMMAND_ARGS = 1 << 5,
	/** In a shell the rest of the command, as it stands, is its operand, unless that begins with
	 * a quoted word. */
	RMR_COMMAND_TAIL = 1 << 6,
	/** In a shell the rest of the line, quotes and ';' included, is its operand. */
	RMR_COMMAND_LINE = 1 << 9,
	RMR_COMMAND_SHELL = 1 << 7,   /**< only in a shell */
	RMR_COMMAND_OUTSIDE = 1 << 8, /**< not in a shell */
};

struct rmr_command {
	const char *name;
	const char *summary;		  /**< a line without capital and full stop */
	const char *operands;		  /**< behind PID or HEAP: "[ADDRESS]", or "" */
	size_t least, most;		  /**< how many of them */
	unsigned flags;			  /**< enum rmr_command_flags */
	const struct rmr_option *options; /**< its own, ended by a zeroed row, or NULL */
	const char *details;		  /**< help: paragraphs parted by \n\n, or NULL */
	struct rmr_error *(*run)(struct rmr_context *context, const struct rmr_call *call);
};

/** The table, ended by a row without name (commands/table.c). */
extern const struct rmr_command rmr_commands[];

/** Options that every command takes, and those that RMR_COMMAND_TABLE and _LIMIT add. */
extern const struct rmr_option rmr_common_options[];
extern const struct rmr_option rmr_table_options[];
extern const struct rmr_option rmr_limit_options[];

/** The command called @p name, or NULL. @p shell: those that a shell has, or those outside. */
const struct rmr_command *rmr_command_find(const char *name, bool shell);

/** What follows in a shell's line from one of its words on, as it was typed. */
struct rmr_tail {
	const char *text;
	bool quoted; /**< the word is one quoted string, and nothing else */
};

/**
 * Runs one command line. @p words[0] is the command's name. @p tails, in a shell, has a tail for
 * each word, for RMR_COMMAND_TAIL; else NULL.
 */
struct rmr_error *rmr_command_dispatch(struct rmr_context *context, const char *const *words,
	size_t count, const struct rmr_tail *tails) RMR_MUST_CHECK;

/** Opens a view on the context's output as the call's --format, --exact say. */
struct rmr_error *rmr_command_view(struct rmr_context *context, const struct rmr_call *call,
	bool single, struct rmr_view **ret) RMR_MUST_CHECK;

/**
 * How many rows to show: --limit, or what `set limit` said, or @p fallback for people and all for
 * JSON and CSV. 0 = all.
 */
struct rmr_error *rmr_command_limit(const struct rmr_context *context, const struct rmr_call *call,
	uint64_t fallback, uint64_t *ret) RMR_MUST_CHECK;

/** An address: 0x7f.., decimal, hexadecimal with a letter in it, or $N, a row of the last table.
 *  RMR_E_USAGE. */
struct rmr_error *rmr_command_address(
	const struct rmr_context *context, const char *word, uint64_t *ret) RMR_MUST_CHECK;

/** A PID of digits; RMR_E_USAGE. */
struct rmr_error *rmr_command_pid(const char *word, pid_t *ret) RMR_MUST_CHECK;

/** Prints an error as `remora: ...` and `hint: ...` on standard error and destroys it; returns the
 *  exit status. Ctrl-C and a reader that went away (a closed pipe) say nothing. */
int rmr_command_report(const struct rmr_context *context, struct rmr_error *err);

/** `remora: warning: ...` on standard error. */
void rmr_command_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
