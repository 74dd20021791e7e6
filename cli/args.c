// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/args.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
	MAX_WORD = 64, // longer words are not compared with names
};

unsigned rmr_args_distance(const char *a, const char *b)
{
	size_t m = strlen(a), n = strlen(b);
	unsigned rows[3][MAX_WORD + 1];

	if (m > MAX_WORD || n > MAX_WORD)
		return UINT_MAX;
	for (unsigned j = 0; j <= n; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= m; i++) {
		unsigned *row = rows[i % 3], *before = rows[(i - 1) % 3], *swap = rows[(i + 1) % 3];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n; j++) {
			unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);
			if (before[j] + 1 < best)
				best = before[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				swap[j - 2] + 1 < best)
				best = swap[j - 2] + 1;
			row[j] = best;
		}
	}
	return rows[m % 3][n];
}

bool rmr_args_is_close(const char *word, const char *candidate)
{
	size_t length = strlen(word), whole = strlen(candidate);
	unsigned distance = rmr_args_distance(word, candidate);

	if (length >= 2 && length < whole && strncmp(word, candidate, length) == 0)
		return true;
	return distance <= (whole <= 4 ? 1u : 2u);
}

bool rmr_args_is_digits(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static const struct rmr_option *find_long(
	const char *name, size_t length, const struct rmr_option *const *tables, size_t table_count)
{
	for (size_t t = 0; t < table_count; t++) {
		for (const struct rmr_option *o = tables[t]; o && o->name; o++) {
			if (strlen(o->name) == length && memcmp(o->name, name, length) == 0)
				return o;
		}
	}
	return NULL;
}

static const struct rmr_option *find_letter(
	char letter, const struct rmr_option *const *tables, size_t table_count)
{
	for (size_t t = 0; t < table_count; t++) {
		for (const struct rmr_option *o = tables[t]; o && o->name; o++) {
			if (o->letter && o->letter == letter)
				return o;
		}
	}
	return NULL;
}

static struct rmr_error *unknown_option(
	const char *word, const struct rmr_option *const *tables, size_t table_count)
{
	char name[MAX_WORD + 1];
	size_t length = strcspn(word + 2, "=");
	struct rmr_error *err = rmr_error_create(RMR_E_USAGE, 0, "unknown option '%s'", word);

	if (strncmp(word, "--", 2) != 0 || length > MAX_WORD)
		return err;
	memcpy(name, word + 2, length);
	name[length] = '\0';
	for (size_t t = 0; t < table_count; t++) {
		for (const struct rmr_option *o = tables[t]; o && o->name; o++) {
			if (rmr_args_is_close(name, o->name))
				return rmr_error_hint(err, "did you mean '--%s'?", o->name);
		}
	}
	return err;
}

/** True if @p value is one of "a|b|c". A list without '|' or with capitals is a mere name. */
static bool is_choice(const char *choices, const char *value)
{
	size_t length = strlen(value);

	if (!strchr(choices, '|') || (choices[0] >= 'A' && choices[0] <= 'Z'))
		return true;
	for (const char *at = choices; *at; at += strcspn(at, "|"), at += *at == '|') {
		if (strcspn(at, "|") == length && strncmp(at, value, length) == 0)
			return true;
	}
	return false;
}

/** Where the words are at, while they are sorted. */
struct walk {
	const char *const *words;
	size_t count;
	size_t at;
	struct rmr_args *args;
};

/** Takes the option's value from @p attached or the next word and keeps both. */
static struct rmr_error *give(
	struct walk *walk, const struct rmr_option *option, const char *attached)
{
	const char *value = attached;

	if (!option->value && attached)
		return rmr_error_create(
			RMR_E_USAGE, 0, "option '--%s' takes no value", option->name);
	if (option->value && !value) {
		if (walk->at == walk->count)
			return rmr_error_create(RMR_E_USAGE, 0, "option '--%s' needs a value: %s",
				option->name, option->value);
		value = walk->words[walk->at++];
	}
	if (option->value && !is_choice(option->value, value))
		return rmr_error_create(RMR_E_USAGE, 0,
			"option '--%s' cannot be '%s': it is one of %s", option->name, value,
			option->value);
	walk->args->given[walk->args->given_count++] = (struct rmr_given){option, value};
	return NULL;
}

static struct rmr_error *take_letters(struct walk *walk, const char *word,
	const struct rmr_option *const *tables, size_t table_count, bool *last_ret)
{
	for (const char *letter = word + 1; *letter; letter++) {
		const struct rmr_option *option = find_letter(*letter, tables, table_count);
		if (!option)
			return unknown_option(word, tables, table_count);
		*last_ret = option->last;
		if (option->value)
			return give(walk, option, letter[1] ? letter + 1 : NULL);
		struct rmr_error *err = give(walk, option, NULL);
		if (err)
			return err;
	}
	return NULL;
}

static struct rmr_error *sort_words(struct walk *walk, const struct rmr_option *const *tables,
	size_t table_count, size_t stop_after)
{
	bool ended = false;

	while (walk->at < walk->count) {
		const char *word = walk->words[walk->at++];
		struct rmr_error *err = NULL;

		if (ended || word[0] != '-' || word[1] == '\0') {
			walk->args->operands[walk->args->operand_count++] = word;
			ended |= stop_after && walk->args->operand_count >= stop_after;
		} else if (strcmp(word, "--") == 0) {
			ended = true;
		} else if (word[1] == '-') {
			size_t length = strcspn(word + 2, "=");
			const struct rmr_option *option =
				find_long(word + 2, length, tables, table_count);
			if (!option)
				return unknown_option(word, tables, table_count);
			err = give(walk, option, word[2 + length] ? word + 2 + length + 1 : NULL);
			ended |= option->last;
		} else {
			bool last = false;
			err = take_letters(walk, word, tables, table_count, &last);
			ended |= last;
		}
		if (err)
			return err;
	}
	return NULL;
}

struct rmr_error *rmr_args_parse(const char *const *words, size_t count,
	const struct rmr_option *const *tables, size_t table_count, size_t stop_after,
	struct rmr_args *ret)
{
	struct rmr_args args = {0};
	size_t letters = 1;

	for (size_t i = 0; i < count; i++)
		letters += strlen(words[i]) + 1;
	args.given = calloc(letters, sizeof(*args.given));
	args.operands = calloc(count + 1, sizeof(*args.operands));
	if (!args.given || !args.operands) {
		rmr_args_deinit(&args);
		return &rmr_enomem;
	}
	struct walk walk = {.words = words, .count = count, .args = &args};
	struct rmr_error *err = sort_words(&walk, tables, table_count, stop_after);
	if (err) {
		rmr_args_deinit(&args);
		return err;
	}
	*ret = args;
	return NULL;
}

void rmr_args_deinit(struct rmr_args *args)
{
	free(args->given);
	free(args->operands);
	*args = (struct rmr_args){0};
}

size_t rmr_args_count(const struct rmr_args *args, const char *name)
{
	size_t count = 0;

	for (size_t i = 0; i < args->given_count; i++)
		count += strcmp(args->given[i].option->name, name) == 0;
	return count;
}

const char *rmr_args_nth(const struct rmr_args *args, const char *name, size_t index)
{
	for (size_t i = 0; i < args->given_count; i++) {
		if (strcmp(args->given[i].option->name, name) == 0 && index-- == 0)
			return args->given[i].value;
	}
	return NULL;
}

const char *rmr_args_value(const struct rmr_args *args, const char *name)
{
	size_t count = rmr_args_count(args, name);

	return count ? rmr_args_nth(args, name, count - 1) : NULL;
}

struct rmr_error *rmr_args_number(const struct rmr_args *args, const char *name, uint64_t fallback,
	uint64_t most, uint64_t *ret)
{
	const char *text = rmr_args_value(args, name);

	if (!text) {
		*ret = fallback;
		return NULL;
	}
	errno = 0;
	uint64_t value = strtoull(text, NULL, 10);
	if (!rmr_args_is_digits(text) || errno || value > most)
		return rmr_error_create(
			RMR_E_USAGE, 0, "option '--%s' needs a whole number, not '%s'", name, text);
	*ret = value;
	return NULL;
}

struct rmr_error *rmr_args_seconds(const char *text, const char *what, unsigned *ret_ms)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end || text[strspn(text, "0123456789.")] || !(seconds <= 1e6))
		return rmr_error_create(
			RMR_E_USAGE, 0, "%s: '%s' is no number of seconds", what, text);
	// The least that is not 0, which means for ever.
	*ret_ms = seconds > 0 && seconds < 0.001 ? 1 : (unsigned)(seconds * 1000);
	return NULL;
}
