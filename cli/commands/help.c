// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/commands/help.h"

#include "cli/commands/commands.h"
#include "cli/view/view.h"

#include <string.h>

// cli/man/remora.1, embedded: the manual page with a line "@COMMANDS@".
extern const char rmr_man_page[], rmr_man_page_end[];

enum {
	NAME_WIDTH = 11,
	OPTION_WIDTH = 24,
	LINE_WIDTH = 79,
};

static bool is_listed(const struct rmr_context *context, const struct rmr_command *command)
{
	return !(command->flags & (context->shell ? RMR_COMMAND_OUTSIDE : RMR_COMMAND_SHELL));
}

/** "PID", "HEAP" or "": what stands before the command's own operands here. */
static const char *front_operand(
	const struct rmr_context *context, const struct rmr_command *command)
{
	if (command->flags & RMR_COMMAND_PID && !context->pid)
		return " PID";
	return command->flags & RMR_COMMAND_HEAP && !context->shell ? " HEAP" : "";
}

/** Prints @p text with lines of at most LINE_WIDTH or the terminal's, all but the first indented. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
	unsigned terminal = rmr_terminal_width(fileno(out));
	int column = indent, width = terminal && terminal < LINE_WIDTH ? (int)terminal : LINE_WIDTH;

	for (const char *word = text; *word;) {
		int length = (int)strcspn(word, " \n");
		if (column > indent && column + 1 + length > width) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", length, word);
		column += length;
		word += length;
		if (*word == '\n') {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		}
		if (*word)
			word++;
	}
	fputc('\n', out);
}

static void print_options(FILE *out, const struct rmr_option *options)
{
	for (const struct rmr_option *o = options; o && o->name; o++) {
		char letter[8] = "    ", head[128];

		if (o->letter)
			snprintf(letter, sizeof(letter), "-%c, ", o->letter);
		int length = snprintf(head, sizeof(head), "  %s--%s%s%s", letter, o->name,
			o->value ? " " : "", o->value ? o->value : "");
		if (length >= OPTION_WIDTH + 2)
			fprintf(out, "%s\n%*s", head, OPTION_WIDTH + 2, "");
		else
			fprintf(out, "%-*s", OPTION_WIDTH + 2, head);
		print_wrapped(out, o->help, OPTION_WIDTH + 2);
	}
}

void rmr_help_command(struct rmr_context *context, const struct rmr_command *command)
{
	FILE *out = context->out;

	bool first = command->flags & RMR_COMMAND_ARGS; // the options come before the payload's own
	fprintf(out, "usage: %s%s%s%s%s%s%s\n\n", context->shell ? "" : "remora ", command->name,
		front_operand(context, command), first ? " [OPTION...]" : "",
		*command->operands ? " " : "", command->operands, first ? "" : " [OPTION...]");
	print_wrapped(out, command->summary, 0);
	if (command->details) {
		fputc('\n', out);
		print_wrapped(out, command->details, 0);
	}
	fputs("\noptions:\n", out);
	print_options(out, command->options);
	if (command->flags & RMR_COMMAND_TABLE)
		print_options(out, rmr_table_options);
	if (command->flags & RMR_COMMAND_LIMIT)
		print_options(out, rmr_limit_options);
	print_options(out, rmr_common_options);
}

/** The headings under which `help` lists the commands. */
enum group {
	GROUP_PROCESS,
	GROUP_HEAP,
	GROUP_SHELL,
};

static enum group group_of(const struct rmr_command *command)
{
	if (command->flags & RMR_COMMAND_SHELL && !(command->flags & RMR_COMMAND_PID))
		return GROUP_SHELL;
	return command->flags & (RMR_COMMAND_HEAP | RMR_COMMAND_HEAPS) ? GROUP_HEAP : GROUP_PROCESS;
}

static void list_group(
	const struct rmr_context *context, FILE *out, enum group group, const char *heading)
{
	fprintf(out, "\n%s:\n", heading);
	for (const struct rmr_command *c = rmr_commands; c->name; c++) {
		if (!is_listed(context, c) || group_of(c) != group)
			continue;
		fprintf(out, "  %-*s", NAME_WIDTH, c->name);
		print_wrapped(out, c->summary, NAME_WIDTH + 2);
	}
}

void rmr_help_overview(const struct rmr_context *context, FILE *out)
{
	if (!context->shell)
		fputs("usage: remora COMMAND ...\n\n"
		      "Looks inside a running Python program from outside.\n",
			out);
	list_group(context, out, GROUP_PROCESS, "processes and files");
	list_group(context, out, GROUP_HEAP,
		context->shell ? "the heap"
			       : "the heap (HEAP is a dump file, or a PID: then a dump is taken)");
	if (context->shell) {
		list_group(context, out, GROUP_SHELL, "the shell");
		fputs("\n$1, $2, ... stand for the objects of the last table. COMMAND | PROGRAM gives "
		      "the\nresults to a program. `help COMMAND` tells more.\n",
			out);
		return;
	}
	fputs("\noptions of every command:\n", out);
	print_options(out, rmr_common_options);
	fputs("\nexit status: 0 done; 1 the payload or query failed; 2 wrong usage or bad input;\n"
	      "3 cannot attach; 4 timed out; 5 the process or the disk failed midway\n"
	      "\n`remora help COMMAND` tells more.\n",
		out);
}

/** Writes text as roff: hyphens and backslashes literal, no line starts a request. */
static void man_text(FILE *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\n' && text[1] == '\n')
			fputs("\n.Pp\n", out), text++;
		else if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
	}
	fputc('\n', out);
}

static void man_options(FILE *out, const struct rmr_option *options)
{
	for (const struct rmr_option *o = options; o && o->name; o++) {
		fputs(".It ", out);
		if (o->letter)
			fprintf(out, "Fl %c , ", o->letter);
		fprintf(out, "Fl \\-%s", o->name);
		if (o->value)
			fprintf(out, " Ar %s", o->value);
		fputc('\n', out);
		man_text(out, o->help);
	}
}

static void man_command(
	const struct rmr_context *context, FILE *out, const struct rmr_command *command)
{
	fprintf(out, ".It Cm %s", command->name);
	if (*front_operand(context, command))
		fprintf(out, " Ar%s", front_operand(context, command));
	if (*command->operands)
		fprintf(out, " Ar \"%s\"", command->operands);
	fputc('\n', out);
	man_text(out, command->summary);
	if (command->details) {
		fputs(".Pp\n", out);
		man_text(out, command->details);
	}
	if (!command->options)
		return;
	fputs(".Bl -tag -width Ds -compact\n", out);
	man_options(out, command->options);
	fputs(".El\n", out);
}

static void print_man(const struct rmr_context *context)
{
	static const char mark[] = "@COMMANDS@\n";
	FILE *out = context->out;
	size_t length = (size_t)(rmr_man_page_end - rmr_man_page);
	const char *at = memmem(rmr_man_page, length, mark, strlen(mark));

	if (!at)
		return;
	fwrite(rmr_man_page, 1, (size_t)(at - rmr_man_page), out);
	fputs(".Bl -tag -width Ds\n", out);
	for (const struct rmr_command *c = rmr_commands; c->name; c++) {
		if (is_listed(context, c))
			man_command(context, out, c);
	}
	fputs(".El\n.Pp\nOptions of the commands that print tables, and of all:\n"
	      ".Bl -tag -width Ds -compact\n",
		out);
	man_options(out, rmr_table_options);
	man_options(out, rmr_limit_options);
	man_options(out, rmr_common_options);
	fputs(".El\n", out);
	at += strlen(mark);
	fwrite(at, 1, (size_t)(rmr_man_page_end - at), out);
}

struct rmr_error *rmr_command_help(struct rmr_context *context, const struct rmr_call *call)
{
	const struct rmr_command *command = NULL;

	if (rmr_args_count(&call->args, "man")) {
		print_man(context);
	} else if (call->args.operand_count) {
		command = rmr_command_find(call->args.operands[0], context->shell != NULL);
		if (!command)
			return rmr_error_hint(rmr_error_create(RMR_E_USAGE, 0, "no command '%s'",
						      call->args.operands[0]),
				context->shell ? "`help` lists the commands"
					       : "`remora help` lists the commands");
		rmr_help_command(context, command);
	} else {
		rmr_help_overview(context, context->out);
	}
	return NULL;
}
