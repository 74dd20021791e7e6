// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/shell/words.h"

#include <stdlib.h>
#include <string.h>

/** A word while it is read. */
struct reader {
	const char *line;
	size_t at;
	char *out; // room for all of the line
	size_t length;
	bool unbalanced;
};

/** Reads the quoted piece that starts at r->at. */
static void read_quoted(struct reader *r)
{
	char quote = r->line[r->at++];

	for (char c; (c = r->line[r->at]) != quote; r->at++) {
		if (c == '\0') {
			r->unbalanced = true;
			return;
		}
		char next = r->line[r->at + 1];
		if (quote == '"' && c == '\\' && (next == '"' || next == '\\'))
			c = r->line[++r->at];
		r->out[r->length++] = c;
	}
	r->at++;
}

static void read_word(struct reader *r, struct rmr_word *word)
{
	unsigned pieces = 0;
	bool bare = false;

	word->start = r->at;
	for (char c; (c = r->line[r->at]) != '\0' && !strchr(" \t\n;", c);) {
		if (c == '\'' || c == '"') {
			read_quoted(r);
			pieces++;
			continue;
		}
		if (c == '\\' && r->line[r->at + 1])
			c = r->line[++r->at];
		r->out[r->length++] = c;
		r->at++;
		bare = true;
	}
	word->quoted = pieces == 1 && !bare && !r->unbalanced;
}

static bool add_word(struct rmr_words *words, struct reader *r)
{
	struct rmr_word *more = realloc(words->words, (words->count + 1) * sizeof(*more));

	if (!more)
		return false;
	words->words = more;
	r->length = 0;
	read_word(r, &more[words->count]);
	more[words->count].text = strndup(r->out, r->length);
	return more[words->count++].text != NULL;
}

struct rmr_error *rmr_words_split(const char *line, size_t start, struct rmr_words *ret)
{
	struct reader r = {.line = line, .at = start, .out = malloc(strlen(line) + 1)};
	struct rmr_words words = {0};
	bool good = r.out != NULL;

	while (good) {
		r.at += strspn(line + r.at, " \t\n");
		if (line[r.at] == '\0' || line[r.at] == ';')
			break;
		if (line[r.at] == '#') {
			r.at += strlen(line + r.at);
			break;
		}
		if (line[r.at] == '|' && line[r.at + 1] != '|' && words.count) {
			words.piped = true;
			break;
		}
		good = add_word(&words, &r);
	}
	free(r.out);
	if (!good) {
		rmr_words_deinit(&words);
		return &rmr_enomem;
	}
	words.next = r.at + (line[r.at] == ';' || words.piped);
	words.unbalanced = r.unbalanced;
	*ret = words;
	return NULL;
}

void rmr_words_deinit(struct rmr_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->words[i].text);
	free(words->words);
	*words = (struct rmr_words){0};
}
