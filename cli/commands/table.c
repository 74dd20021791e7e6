// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/commands/commands.h"

#include <stddef.h>
#include <stdint.h>

static const struct rmr_option run_options[] = {
	{.name = "code",
		.letter = 'c',
		.value = "CODE",
		.last = true,
		.help = "run this Python code; what follows are its arguments"},
	{.name = "pass-exit",
		.help = "exit with the payload's own status; remora's failures are 125"},
	{.name = "interpreter",
		.value = "N",
		.help = "run it in that sub-interpreter, 0 is the main one"},
	{0},
};

static const struct rmr_option stacks_options[] = {
	{.name = "native", .help = "C frames too: each thread is stopped for an instant"},
	{.name = "thread",
		.letter = 't',
		.value = "THREAD",
		.help = "only the thread of this TID, or those of this name"},
	{0},
};

#define DUMP_OPTIONS                                                                               \
	{.name = "values",                                                                         \
		.value = "none|short|full",                                                        \
		.help = "how much of strings and numbers is written (short: 100 characters)"},     \
	{                                                                                          \
		.name = "in-place",                                                                \
		.help = "walk in the process itself instead of a copy of it: a long pause"         \
	}

static const struct rmr_option dump_options[] = {
	{.name = "output",
		.letter = 'o',
		.value = "FILE",
		.help = "where to, '-' is standard output"},
	{.name = "force", .letter = 'f', .help = "overwrite FILE"},
	{.name = "format", .value = "remora|meliae", .help = "the format of the dump"},
	{.name = "compress",
		.value = "zst|gz|none",
		.help = "compress it (FILE's ending, .zst or .gz, says so too)"},
	DUMP_OPTIONS,
	{0},
};

static const struct rmr_option summary_options[] = {
	{.name = "sort",
		.value = "bytes|count|largest|retained|name",
		.help = "order of the types"},
	{.name = "unexplained",
		.help = "how many of all counted references the dump has, and of which types some are "
			"missing"},
	{.name = "retained", .help = "compute retained bytes (takes a little on a large heap)"},
	{0},
};

static const struct rmr_option objects_options[] = {
	{.name = "type",
		.letter = 't',
		.value = "TYPE",
		.help = "only of this type: Node or app.Node"},
	{.name = "where",
		.letter = 'w',
		.value = "SQL",
		.help = "only those for which this SQL expression is true: \"len > 1000\""},
	{.name = "sort",
		.letter = 's',
		.value = "size|retained|len|rc|referrers|children|name|address",
		.help = "order: most first, names and addresses least first"},
	{.name = "reverse", .letter = 'r', .help = "the other way round"},
	{0},
};

static const struct rmr_option show_options[] = {
	{.name = "full", .help = "the whole value, not its start"},
	{.name = "raw", .help = "the record as the dump has it"},
	{0},
};

static const struct rmr_option why_options[] = {
	{.name = "paths", .letter = 'p', .value = "N", .help = "show up to N distinct paths"},
	{.name = "avoid",
		.value = "WHAT",
		.help = "go round a type, an address or 'weak'; may be repeated"},
	{.name = "brief", .letter = 'b', .help = "only the path, not each object on the way"},
	{0},
};

static const struct rmr_option tree_options[] = {
	{.name = "up", .letter = 'u', .help = "referrers instead of references"},
	{.name = "depth", .letter = 'd', .value = "N", .help = "levels below the object (3)"},
	{.name = "breadth", .letter = 'b', .value = "N", .help = "branches of each object (10)"},
	{0},
};

static const struct rmr_option dominators_options[] = {
	{.name = "depth", .letter = 'd', .value = "N", .help = "levels below (1)"},
	{0},
};

static const struct rmr_option groups_options[] = {
	{.name = "by",
		.value = "type|module|size|referrer|via|owner|line",
		.help = "the property that a group shares (type)"},
	{.name = "type", .letter = 't', .value = "TYPE", .help = "only objects of this type"},
	{.name = "where",
		.letter = 'w',
		.value = "SQL",
		.help = "only objects for which this SQL expression is true"},
	{.name = "group",
		.letter = 'g',
		.value = "LABEL",
		.help = "go down into that group; the next --by parts it; may be repeated"},
	{.name = "retained", .help = "compute retained bytes"},
	{0},
};

static const struct rmr_option diff_options[] = {
	{.name = "by",
		.value = "type|path|module|size|referrer|via|owner|line",
		.help = "what a row stands for (type)"},
	{.name = "growth",
		.help = "each dump's bytes, what grew in every interval first (implied by 4 HEAPs)"},
	{.name = "all", .help = "rows without change too"},
	{0},
};

static const struct rmr_option leaks_options[] = {
	{.name = "for", .value = "SECONDS", .help = "on a PID: how long to watch it (10)"},
	{.name = "snapshots", .value = "N", .help = "on a PID: how many dumps to take (3)"},
	{0},
};

static const struct rmr_option cycles_options[] = {
	{.name = "each", .help = "each cycle in a row of its own"},
	{0},
};

static const struct rmr_option graph_options[] = {
	{.name = "output",
		.letter = 'o',
		.value = "FILE",
		.help = "F.dot, F.svg, F.png, F.pdf, or '-' for DOT on standard output"},
	{.name = "force", .letter = 'f', .help = "overwrite FILE"},
	{.name = "up", .letter = 'u', .help = "referrers instead of references"},
	{.name = "path", .letter = 'p', .help = "only the shortest path from a root to it"},
	{.name = "depth", .letter = 'd', .value = "N", .help = "levels around the object (3)"},
	{.name = "breadth", .letter = 'b', .value = "N", .help = "edges of each object (10)"},
	{0},
};

static const struct rmr_option shell_options[] = {
	{.name = "command",
		.letter = 'c',
		.value = "LINES",
		.help = "run these commands, parted by ';' or line ends, and exit"},
	{.name = "keep-going",
		.letter = 'k',
		.help = "in a script: go on after a command that failed"},
	DUMP_OPTIONS,
	{0},
};

static const struct rmr_option help_options[] = {
	{.name = "man", .help = "the manual page, as man(1) reads it"},
	{0},
};

enum {
	TABLE = RMR_COMMAND_TABLE,
	ROWS = RMR_COMMAND_TABLE | RMR_COMMAND_LIMIT,
	HEAP_ROWS = RMR_COMMAND_HEAP | RMR_COMMAND_TABLE | RMR_COMMAND_LIMIT,
};

const struct rmr_command rmr_commands[] = {
	{"ps", "the Python processes, and whether remora can attach", "", 0, 0, ROWS, NULL, NULL,
		rmr_command_ps},
	{"run", "run a payload in a process: .py, .so, built-in, -c CODE, or -", "PAYLOAD [ARG...]",
		0, SIZE_MAX, RMR_COMMAND_PID | RMR_COMMAND_ARGS, run_options,
		"PAYLOAD is a .py file, a shared object that remora_payload.h describes, the name "
		"of a built-in payload (`remora payloads`), or - for Python code on standard "
		"input. With -c there is no PAYLOAD. The payload's output appears as it is "
		"written; so does the traceback of its exception.",
		rmr_command_run},
	{"stacks", "what every thread of a process is doing: its Python stack", "", 0, 0,
		RMR_COMMAND_PID | ROWS, stacks_options,
		"Nothing runs in the process, and no GIL is needed: it works where C code never "
		"gives up the GIL, in a deadlock, in a process that is stopped or hangs at its "
		"end. A thread that waits is not even stopped; one that runs, for a fraction of a "
		"millisecond. Each thread is read by itself, one after the other. Tasks and "
		"greenlets that do not run are on no thread's stack. The innermost frame comes "
		"first. --limit is for the frames of each thread (100).\n\n"
		"JSON: {pid, python, stops, stop_ns, threads: [{tid, ident, name, comm, "
		"interpreter, state, doing, call, gil, read, frames, native}]}. ident is "
		"threading.get_ident(), null in a thread that Python does not know; name is what "
		"threading calls it; doing is running, call, gil, sleeping or stopped; call names "
		"the system call; gil is true for the holder; read is whole, cut (deeper than "
		"100,000 frames or 10 ms) or changed (it may be wrong). frames: [{file, line, "
		"function, qualname}]. native, with --native, else null: [{address, symbol, "
		"offset, file, runs}], where runs, in the interpreter's loop, are the first and "
		"the end of the frames that it runs.",
		rmr_command_stacks},
	{"payloads", "the built-in payloads", "", 0, 0, ROWS, NULL, NULL, rmr_command_payloads},
	{"dump", "write the heap of a process as JSON Lines (.zst, .gz)", "", 0, 0,
		RMR_COMMAND_PID | RMR_COMMAND_OUTSIDE, dump_options,
		"The process pauses for milliseconds: a copy of it is walked. FILE is compressed "
		"if its name ends in .zst or .gz; it appears when it is complete, readable by its "
		"owner only; its default name is new each time.",
		rmr_command_dump},
	{"dump", "take a new snapshot; with -o, write the heap to FILE", "", 0, 0,
		RMR_COMMAND_PID | RMR_COMMAND_SHELL, dump_options,
		"`diff` then compares the new snapshot with the one before.", rmr_command_renew},
	{"shell", "the interactive shell on a process or a dump file", "PID|DUMP", 1, 1,
		RMR_COMMAND_OUTSIDE, shell_options,
		"The same commands without HEAP. A script on standard input, or -c, stops at the "
		"first command that fails and exits with its status. Behind a '|' the rest of the "
		"line is a program that gets the results: `objects --limit 0 | less`.",
		rmr_command_shell},
	{"summary", "totals, and the types by bytes", "", 0, 0, HEAP_ROWS, summary_options, NULL,
		rmr_command_summary},
	{"objects", "list objects, the largest first", "", 0, 0, HEAP_ROWS, objects_options,
		"--where takes an SQL expression over address, type, module, size, owned, rc, "
		"len, name, value, referrers, children, retained, dominator, reach, flags, "
		"allocated, buffer, owner.",
		rmr_command_objects},
	{"show", "everything known of one object", "ADDRESS", 1, 1, HEAP_ROWS, show_options, NULL,
		rmr_command_show},
	{"children", "what an object refers to, and by which names", "ADDRESS", 1, 1, HEAP_ROWS,
		NULL, NULL, rmr_command_children},
	{"referrers", "what refers to an object, and by which names", "ADDRESS", 1, 1, HEAP_ROWS,
		NULL, NULL, rmr_command_referrers},
	{"why", "why an object is alive: the shortest named paths from a root", "ADDRESS", 1, 1,
		RMR_COMMAND_HEAP | TABLE, why_options,
		"A path is what Python code would say, sys.modules['app'].CACHE['k'][3].next, "
		"where it can: <x> stands for what Python has no name for. JSON and CSV tell in "
		"'python' whether the path is such an expression; from a frame, what is behind it.\n\n"
		"--avoid goes round what keeps it alive as well: --avoid app.Cache, "
		"--avoid 0x7f0b7079c040, --avoid weak.",
		rmr_command_why},
	{"tree", "references (--up: referrers) as a tree, cycles marked and cut", "ADDRESS", 1, 1,
		RMR_COMMAND_HEAP | TABLE, tree_options,
		"Keys of dicts that refer to nothing, strings and numbers, are left out: the names "
		"of the values tell them (`children` has all).",
		rmr_command_tree},
	{"dominators", "the largest retained sizes, as a tree to descend", "[ADDRESS]", 0, 1,
		HEAP_ROWS, dominators_options,
		"An object's retained size is what would be freed with it: all objects that are "
		"reached through it only.",
		rmr_command_dominators},
	{"groups", "objects in groups that share a property", "", 0, 0, HEAP_ROWS, groups_options,
		"--group descends: `groups --by type --group dict --by referrer` parts the dicts "
		"by who refers to them.",
		rmr_command_groups},
	{"diff", "growth between two heaps; of three: what came and survived", "HEAP HEAP [HEAP...]",
		0, SIZE_MAX, RMR_COMMAND_HEAPS | ROWS, diff_options,
		"With three heaps, in order of time, the rows tell what appeared between the "
		"first and the second and is still there in the third. With more, or --growth, "
		"they tell the bytes in each of the heaps, and 'grew' in how many of the "
		"intervals between them a row grew.\n\n"
		"--by path has a row for each object that dominates much, with what it retains, "
		"by the path that leads to it, [*] for any index; the other words are those of "
		"`groups`.\n\n"
		"An object of one heap is that of another if address and type are the same, and: "
		"of a str, bytes or number, its value; of what has a name, the name; of a "
		"container or an instance, some part that nothing else refers to, where it has "
		"any. So an address that was freed and used again tells two objects.\n\n"
		"In a shell the snapshot is the last of them, and without any HEAP the snapshot "
		"before is the first.",
		rmr_command_diff},
	{"leaks", "leak suspects in prose, with the path that holds each", "HEAP...", 0, SIZE_MAX,
		RMR_COMMAND_HEAPS | ROWS, leaks_options,
		"Of one dump: what holds most, and where it accumulates. Of several dumps of one "
		"process, in order of time, or of a PID: what grows from each to the next.",
		rmr_command_leaks},
	{"waste", "memory to be saved: duplicates, slack, needless dicts", "", 0, 0, HEAP_ROWS,
		NULL,
		"Duplicate strings, bytes and tuples; empty and over-allocated containers; "
		"instances whose __dict__ slots would save; views that pin large buffers. --limit "
		"is for each of them.",
		rmr_command_waste},
	{"cycles", "reference cycles, garbage, objects with finalizers in cycles", "", 0, 0,
		HEAP_ROWS, cycles_options,
		"Cycles of the same shape share a row: as many objects of each type, in the same order "
		"along the ring that is shown. The address is in one of them, objects and bytes are of "
		"all.",
		rmr_command_cycles},
	{"graph", "a picture of an object's neighbourhood", "ADDRESS", 1, 1, RMR_COMMAND_HEAP,
		graph_options, "SVG, PNG and PDF are made by Graphviz's dot. Plain keys of dicts are left out, as in "
		"`tree`.", rmr_command_graph},
	{"sql", "SQL over objects, references, types, roots and frames", "'SELECT ...'", 1, 1,
		HEAP_ROWS | RMR_COMMAND_TAIL, NULL,
		"objects(address, type, module, size, owned, rc, len, name, value, referrers, "
		"children, retained, dominator, reach, flags, allocated, buffer, owner)\n\n"
		"refs(src, dst, name, kind)\n\n"
		"types(name, module, label, class, count, bytes, owned, largest)\n\n"
		"roots(kind, label, name, address)\n\n"
		"frames(thread, depth, function, file, line, label)\n\n"
		"In a shell the query needs no quotes.",
		rmr_command_sql},
	{"py", "run Python code in the process, show an expression's value", "CODE", 1, 1,
		RMR_COMMAND_SHELL | RMR_COMMAND_LINE, NULL,
		"The rest of the line is the code; names stay from one `py` to the next, and "
		"remora stays attached meanwhile: two threads of its own in the process. Ctrl-C "
		"interrupts the code, `detach` leaves the process.",
		rmr_command_py},
	{"detach", "leave the process after `py`; its names are gone then", "", 0, 0,
		RMR_COMMAND_SHELL, NULL, NULL, rmr_command_leave},
	{"set", "show or change the defaults of this shell", "[timeout|limit|format|exact [VALUE]]",
		0, 2, RMR_COMMAND_SHELL, NULL,
		"timeout SECONDS (0: for ever), limit N (0: all rows), format table|json|csv, "
		"exact on|off; the value `default` restores what it was.",
		rmr_command_set},
	{"quit", "leave the shell", "", 0, 0, RMR_COMMAND_SHELL, NULL, NULL, rmr_command_quit},
	{"help", "the commands, or one of them", "[COMMAND]", 0, 1, 0, help_options, NULL,
		rmr_command_help},
	{0},
};
