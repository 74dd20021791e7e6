// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/shell/complete.h"

#include "cli/shell/words.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAX_CANDIDATES = 5000,
};

/** Candidates while they are collected. */
struct candidates {
	const char *word;
	char **list;
	size_t count;
};

static void add(struct candidates *c, const char *text, size_t length)
{
	size_t typed = strlen(c->word);

	if (length < typed || memcmp(text, c->word, typed) != 0 || c->count == MAX_CANDIDATES)
		return;
	char **list = realloc(c->list, (c->count + 2) * sizeof(*list));
	if (!list)
		return;
	c->list = list;
	list[c->count] = strndup(text, length);
	if (list[c->count])
		c->count++;
	list[c->count] = NULL;
}

static void add_commands(struct candidates *c)
{
	for (const struct rmr_command *command = rmr_commands; command->name; command++) {
		if (!(command->flags & RMR_COMMAND_OUTSIDE))
			add(c, command->name, strlen(command->name));
	}
}

static void add_options(struct candidates *c, const struct rmr_option *options)
{
	for (const struct rmr_option *o = options; o && o->name; o++) {
		char text[80];
		int length = snprintf(text, sizeof(text), "--%s", o->name);
		add(c, text, (size_t)length);
	}
}

/** Adds each of "a|b|c". */
static void add_choices(struct candidates *c, const char *choices)
{
	for (const char *at = choices; *at;) {
		size_t length = strcspn(at, "|");
		add(c, at, length);
		at += length + (at[length] == '|');
	}
}

static void add_types(struct candidates *c, const struct rmr_shell *shell)
{
	const struct rmr_heap *heap =
		shell->context.snapshot ? shell->context.snapshot->heap : NULL;

	for (uint32_t i = 0; heap && i < rmr_heap_type_count(heap); i++) {
		const struct rmr_type *type = rmr_heap_type_info(heap, i);
		add(c, type->label, strlen(type->label));
		if (strcmp(type->name, type->label) != 0)
			add(c, type->name, strlen(type->name));
	}
}

static const struct rmr_option *find_option(const struct rmr_option *options, const char *word)
{
	for (const struct rmr_option *o = options; o && o->name; o++) {
		if (strncmp(word, "--", 2) == 0
				? strcmp(word + 2, o->name) == 0
				: o->letter && word[0] == '-' && word[1] == o->letter && !word[2])
			return o;
	}
	return NULL;
}

/** The option that the word before waits for a value of, or NULL. */
static const struct rmr_option *waiting_option(const struct rmr_command *command, const char *word)
{
	const struct rmr_option *const tables[] = {
		command->options,
		command->flags & RMR_COMMAND_TABLE ? rmr_table_options : NULL,
		command->flags & RMR_COMMAND_LIMIT ? rmr_limit_options : NULL,
		rmr_common_options,
	};

	for (unsigned i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		const struct rmr_option *option = find_option(tables[i], word);
		if (option)
			return option->value ? option : NULL;
	}
	return NULL;
}

static void add_value(struct candidates *c, const struct rmr_shell *shell,
	const struct rmr_option *option, bool *files)
{
	if (strcmp(option->value, "TYPE") == 0 || strcmp(option->name, "avoid") == 0)
		add_types(c, shell);
	else if (strcmp(option->value, "FILE") == 0)
		*files = true;
	else if (strchr(option->value, '|'))
		add_choices(c, option->value);
}

/** Candidates for a word that is not the first. */
static void add_argument(struct candidates *c, const struct rmr_shell *shell,
	const struct rmr_words *before, bool *files)
{
	const char *name = before->words[0].text, *last = before->words[before->count - 1].text;
	const struct rmr_command *command = rmr_command_find(name, true);
	const struct rmr_option *option = command ? waiting_option(command, last) : NULL;

	if (!command)
		return;
	if (option) {
		add_value(c, shell, option, files);
	} else if (c->word[0] == '-') {
		add_options(c, command->options);
		add_options(c, command->flags & RMR_COMMAND_TABLE ? rmr_table_options : NULL);
		add_options(c, command->flags & RMR_COMMAND_LIMIT ? rmr_limit_options : NULL);
		add_options(c, rmr_common_options);
	} else if (strcmp(name, "help") == 0) {
		add_commands(c);
	} else if (strcmp(name, "set") == 0) {
		if (before->count == 1)
			add_choices(c, "timeout|limit|format|exact");
		else if (before->count == 2)
			add_choices(c, strcmp(last, "format") == 0  ? "table|json|csv|default"
				       : strcmp(last, "exact") == 0 ? "on|off|default"
								    : "default");
	} else if (strcmp(name, "sql") == 0) {
		add_choices(c, "SELECT|FROM|WHERE|GROUP BY|ORDER "
			       "BY|LIMIT|objects|refs|types|roots|frames");
	} else if (command->flags & (RMR_COMMAND_HEAPS | RMR_COMMAND_ARGS)) {
		*files = true;
	}
}

char **rmr_complete_word(const struct rmr_shell *shell, const char *line, size_t start,
	const char *word, bool *files_ret)
{
	struct candidates c = {.word = word};
	struct rmr_words before = {0};
	char *head = strndup(line, start);
	size_t at = 0;

	*files_ret = false;
	// The last command of the line, up to the word.
	while (head) {
		rmr_words_deinit(&before);
		struct rmr_error *err = rmr_words_split(head, at, &before);
		if (err) {
			rmr_error_destroy(err);
			free(head);
			return NULL;
		}
		if (before.piped) { // behind it is a program's line
			*files_ret = true;
			rmr_words_deinit(&before);
			free(head);
			return NULL;
		}
		if (!head[before.next])
			break;
		at = before.next;
	}
	bool fresh = !before.count || (before.next && head && head[before.next - 1] == ';');
	if (head && fresh)
		add_commands(&c);
	else if (head && !before.unbalanced)
		add_argument(&c, shell, &before, files_ret);
	rmr_words_deinit(&before);
	free(head);
	return c.list;
}
