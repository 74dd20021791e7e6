// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What a person types in a shell, of a dump whose names are hostile: answers keep their format, and nothing
 * in them is obeyed by a terminal. The input: a byte for the command, one for the format; a line, which
 * follows the command; the rest stands in the dump as type, name, value and label.
 */
#include "cli/command.h"
#include "cli/commands/snapshot.h"
#include "cli/heap/json.h"
#include "cli/shell/shell.h"
#include "cli/shell/words.h"
#include "tests/fuzz/replay.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Those with %s take the line; `graph` would write whatever file it names. */
static const char *const commands[] = {"summary %s", "objects %s", "objects --where %s", "sql %s",
	"objects --type '%s'", "groups --by type %s", "groups --by via --retained %s", "show 80 %s",
	"groups --by type --group '%s' --by via", "why 112 %s", "why 112 --avoid '%s'", "children 16 %s",
	"referrers 80 %s", "tree 16 %s", "tree 112 --up %s", "dominators %s", "cycles %s", "waste %s",
	"leaks %s", "graph 16 -o -", "graph 112 --up -o -", "graph 112 --path -o -", "why %s", "help %s"};

enum { COMMANDS = sizeof(commands) / sizeof(*commands), HELP = COMMANDS - 1, TEXT_MAX = 1 << 12 };

static const char dump[] =
	"{\"remora\": 1, \"id\": \"f\", \"exe\": \"%s\", \"cmdline\": [\"%s\"], \"host\": \"%s\"}\n"
	"{\"shape\": 1, \"names\": [\".__dict__\", \".%s\", \".__class__\"]}\n"
	"{\"address\": 16, \"type\": \"dict\", \"size\": 64, \"rc\": 1, \"len\": 2, \"refs\": [32, 80], \"keys\": [48, 80]}\n"
	"{\"address\": 32, \"type\": \"module\", \"size\": 64, \"rc\": 1, \"name\": \"%s\", \"shape\": 1, \"refs\": [64]}\n"
	"{\"address\": 48, \"type\": \"str\", \"size\": 57, \"rc\": 1, \"len\": 1, \"value\": \"%s\", \"refs\": []}\n"
	"{\"address\": 56, \"type\": \"str\", \"size\": 57, \"rc\": 1, \"len\": 1, \"value\": \"%s\", \"refs\": []}\n"
	"{\"address\": 64, \"type\": \"dict\", \"size\": 64, \"rc\": 1, \"len\": 1, \"refs\": [80], \"keys\": [48]}\n"
	"{\"address\": 80, \"type\": \"%s\", \"class\": 96, \"size\": 64, \"rc\": 3, \"shape\": 1, \"refs\": [112, 112, 96]}\n"
	"{\"address\": 96, \"type\": \"type\", \"size\": 64, \"rc\": 1, \"name\": \"%s\", \"module\": \"%s\", \"refs\": [7]}\n"
	"{\"address\": 112, \"type\": \"list\", \"size\": 88, \"rc\": 1, \"len\": 3, \"refs\": [80, 112, 128]}\n"
	"{\"address\": 128, \"type\": \"code\", \"size\": 64, \"rc\": 1, \"name\": \"%s\", \"file\": \"%s\", \"line\": 3, \"refs\": []}\n"
	"{\"root\": \"interpreter\", \"label\": \"%s\", \"names\": [\".%s\"], \"refs\": [16]}\n"
	"{\"root\": \"frame\", \"label\": \"<frame f>\", \"names\": [\".x\"], \"refs\": [112]}\n"
	"{\"end\": true, \"id\": \"f\", \"objects\": 9}\n";

/* Puts @p text in the place of each %s. */
static FILE *put(FILE *out, const char *format, const char *text, size_t size)
{
	for (const char *p = format; *p; p++) {
		if (p[0] == '%' && p[1] == 's') {
			fwrite(text, 1, size, out);
			p++;
		} else {
			fputc(*p, out);
		}
	}
	return out;
}

static struct rmr_heap *load(const char *text, size_t size)
{
	struct rmr_heap_options options = {.threads = 1};
	struct rmr_heap *heap = NULL;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	FILE *out = fdopen(dup(fd), "w");

	if (fd < 0 || !out || fclose(put(out, dump, text, size)))
		abort();
	rmr_error_destroy(rmr_heap_open_fd(fd, "fuzz", &options, &heap));
	close(fd);
	return heap;
}

static uint32_t decode(const unsigned char **at, const unsigned char *end)
{
	const unsigned char *p = *at;
	unsigned size = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;
	uint32_t code = size == 1 ? *p : *p & (0x7fu >> size);

	if (!size || (size_t)(end - p) < size)
		abort();
	for (unsigned i = 1; i < size; i++) {
		if ((p[i] & 0xc0) != 0x80)
			abort();
		code = code << 6 | (p[i] & 0x3f);
	}
	*at += size;
	return code;
}

static void check_json(const char *answer, size_t size)
{
	char *text = calloc(1, size + RMR_JSON_PADDING);
	struct rmr_json_error error;

	if (!text)
		abort();
	memcpy(text, answer, size);
	if (!rmr_json_is_text(text, text + size, &error))
		abort();
	free(text);
}

/* Quotes are in pairs, and none goes over a line's end. */
static void check_graph(const char *answer)
{
	bool quoted = false;

	for (const char *p = answer; *p; p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '\\' && p[1])
			p++;
		else if (*p == '\n' && quoted)
			abort();
	}
	if (quoted)
		abort();
}

/* Valid UTF-8 without what a terminal obeys. */
static void check_text(const char *answer, size_t size)
{
	const unsigned char *p = (const unsigned char *)answer, *end = p + size;

	while (p < end) {
		uint32_t code = decode(&p, end);
		if ((code < 0x20 && code != '\n') || (code >= 0x7f && code < 0xa0) ||
			(code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
			(code >= 0x2066 && code <= 0x2069) || (code >= 0xd800 && code < 0xe000))
			abort();
	}
}

/* False if there was an error: then the answer may end anywhere. */
static bool ask(struct rmr_context *context, const char *line)
{
	struct rmr_words words;
	const char *texts[64];
	struct rmr_tail tails[64];
	struct rmr_error *err = NULL;

	if (rmr_words_split(line, 0, &words))
		abort();
	for (size_t i = 0; i < words.count && i < 64; i++) {
		texts[i] = words.words[i].text;
		tails[i] = (struct rmr_tail){line + words.words[i].start, words.words[i].quoted};
	}
	if (words.count && words.count <= 64)
		err = rmr_command_dispatch(context, texts, words.count, tails);
	rmr_words_deinit(&words);
	rmr_error_destroy(err);
	return !err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 3 || size > TEXT_MAX)
		return 0;
	unsigned command = data[0] % COMMANDS;
	enum rmr_format format = data[1] % 3;
	const char *line = (const char *)data + 2, *end = memchr(line, '\n', size - 2);
	size_t length = end ? (size_t)(end - line) : size - 2;
	struct rmr_heap *heap = load(end ? end + 1 : "", end ? size - 3 - length : 0);

	if (!heap)
		return 0;
	struct rmr_snapshot snapshot = {.heap = heap, .name = (char *)(uintptr_t)"fuzz"};
	struct rmr_shell shell = {.target = "fuzz"};
	char *answer = NULL, *typed = NULL;
	size_t answer_size = 0, typed_size = 0;
	FILE *out = open_memstream(&typed, &typed_size);
	if (!out || fclose(put(out, commands[command], line, length)))
		abort();
	shell.context = (struct rmr_context){.out = open_memstream(&answer, &answer_size),
		.style = {.format = format, .width = data[1] & 64 ? 80 : 0, .rows = &shell.rows},
		.shell = &shell, .snapshot = &snapshot};
	bool complete = ask(&shell.context, typed);
	if (fclose(shell.context.out))
		abort();
	/* Options in the line may choose another format. */
	bool chosen = memmem(line, length, "-", 1) || command == HELP;
	check_text(answer, answer_size);
	if (!strncmp(commands[command], "graph", 5))
		check_graph(answer);
	else if (complete && answer_size && format == RMR_FORMAT_JSON && !chosen)
		check_json(answer, answer_size);
	free(answer);
	free(typed);
	free(shell.rows.addresses);
	rmr_dominators_destroy(snapshot.dominators);
	rmr_heap_close(heap);
	return 0;
}
