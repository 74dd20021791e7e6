// SPDX-License-Identifier: GPL-3.0-or-later
#include "cli/heap/python.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_among(const char *word, size_t length, const char *const *words)
{
	while (*words && (strlen(*words) != length || memcmp(word, *words, length) != 0))
		words++;
	return *words != NULL;
}

/* ---- text ---- */

/* True for what can stand behind a dot. Other letters than ASCII's Python may take for others (NFKC). */
static bool is_attribute_name(const char *name, size_t length)
{
	static const char *const keywords[] = {"False", "None", "True", "and", "as", "assert",
		"async", "await", "break", "class", "continue", "def", "del", "elif", "else",
		"except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda",
		"nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
		NULL};

	if (!length || isdigit((unsigned char)*name) || is_among(name, length, keywords))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	}
	return true;
}

/* True for [key] with a key that is written out as Python reads it: no inf, no <Type at 0x...>. */
static bool is_subscript(const char *name)
{
	static const char *const words[] = {"True", "False", "None", "b", "e", NULL};
	char quote = 0;

	for (const char *p = name; *p; p++) {
		size_t length = 0;
		while (!quote && isalpha((unsigned char)p[length]))
			length++;
		if (quote && *p == '\\' && p[1])
			p++;
		else if (quote)
			quote = *p == quote ? 0 : quote;
		else if (*p == '\'' || *p == '"')
			quote = *p;
		else if (*p == '<' || !strncmp(p, "...", 3) ||
			(length && !is_among(p, length, words)))
			return false;
		else if (length)
			p += length - 1;
	}
	return true;
}

/* ---- classes ---- */

/* Those of its __mro__, the last first. */
static struct rmr_ids classes_of(const struct rmr_heap *heap, uint32_t id)
{
	uint32_t type = rmr_heap_type(heap, id);
	uint32_t class = type == RMR_NO_TYPE ? RMR_NO_OBJECT : heap->types[type].class_id;

	return class == RMR_NO_OBJECT ? (struct rmr_ids){0} : rmr_names_mro(heap, class);
}

/*
 * What a class of the object has under a name (Objects/typeobject.c, _PyType_Lookup()), or
 * RMR_NO_OBJECT. @param known_ret  false if the dump does not have the classes
 */
static uint32_t look_up(struct rmr_edges *edges, uint32_t id, const char *name, bool *known_ret)
{
	const struct rmr_heap *heap = edges->heap;
	struct rmr_ids classes = classes_of(heap, id);

	*known_ret = classes.count > 0;
	/* The collector visits the last item of a tuple first. */
	for (uint64_t i = classes.count; i-- > 0;) {
		uint32_t dict = rmr_edges_dict_of(edges, classes.ids[i]);
		uint32_t found = dict == RMR_NO_OBJECT ? dict : rmr_names_value(heap, dict, name);
		if (found != RMR_NO_OBJECT)
			return found;
	}
	return RMR_NO_OBJECT;
}

static bool has_label(struct rmr_edges *edges, uint32_t id, const char *const *labels)
{
	const char *label = rmr_heap_type_label(edges->heap, id);

	return is_among(label, strlen(label), labels);
}

/* True if a class of the object has a function of that name: Python code decides. */
static bool is_overridden(struct rmr_edges *edges, uint32_t id, const char *name)
{
	static const char *const functions[] = {"function", NULL};
	bool known;
	uint32_t found = look_up(edges, id, name, &known);

	return found != RMR_NO_OBJECT && has_label(edges, found, functions);
}

/* True if a class has a slot of that name, however many others come before it. */
static bool has_slot(struct rmr_edges *edges, uint32_t id, const char *name)
{
	static const char *const members[] = {"member_descriptor", NULL};
	const struct rmr_heap *heap = edges->heap;
	struct rmr_ids classes = classes_of(heap, id);

	for (uint64_t i = 0; i < classes.count; i++) {
		uint32_t dict = rmr_edges_dict_of(edges, classes.ids[i]);
		uint32_t found = dict == RMR_NO_OBJECT ? dict : rmr_names_value(heap, dict, name);
		if (found != RMR_NO_OBJECT && has_label(edges, found, members))
			return true;
	}
	return false;
}

static bool is_data_descriptor(struct rmr_edges *edges, uint32_t id)
{
	bool known;

	return look_up(edges, id, "__set__", &known) != RMR_NO_OBJECT ||
		look_up(edges, id, "__delete__", &known) != RMR_NO_OBJECT;
}

static bool is_class(const struct rmr_heap *heap, uint32_t id)
{
	return rmr_heap_flags(heap, id) & RMR_FLAG_MODULE ||
		rmr_heap_builtin(heap, id) == RMR_BUILTIN_TYPE;
}

/* ---- steps ---- */

/* Where type has an attribute of that name, it comes first (type_getattro(), type_getsets). */
static bool is_taken(const char *name, size_t length)
{
	static const char *const taken[] = {"__dict__", "__doc__", "__class__",
		"__text_signature__", "__name__", "__qualname__", "__module__", "__annotations__",
		"__annotate__", "__type_params__", "__abstractmethods__", "__bases__", "__base__",
		"__mro__", "__flags__", "__basicsize__", "__itemsize__", "__dictoffset__",
		"__weakrefoffset__", NULL};

	return is_among(name, length, taken);
}

static bool is_hidden_by_class(struct rmr_edges *edges, uint32_t owner, const char *name,
	size_t length)
{
	char text[256];
	bool known;

	if (is_overridden(edges, owner, "__getattribute__"))
		return true;
	if (length >= sizeof(text))
		return false;
	memcpy(text, name, length);
	text[length] = 0;
	uint32_t found = look_up(edges, owner, text, &known);
	return found != RMR_NO_OBJECT && is_data_descriptor(edges, found);
}

bool rmr_python_folds(struct rmr_edges *edges, uint32_t owner, uint32_t value, const char *key,
	size_t *length_ret)
{
	static const char *const bound[] = {"staticmethod", "classmethod",
		"classmethod_descriptor", "enum.property", "types.DynamicClassAttribute", NULL};
	/* What is imported lazily (3.15) becomes a module when it is looked at. */
	static const char *const lazy[] = {"lazy_import", NULL};
	size_t length = strlen(key);

	if (length < 5 || strncmp(key, "['", 2) != 0 || strcmp(key + length - 2, "']") != 0 ||
		!is_attribute_name(key + 2, length - 4))
		return false;
	*length_ret = length - 4;
	if (owner == RMR_NO_OBJECT)
		return true;
	if (has_label(edges, value, lazy) ||
		is_hidden_by_class(edges, owner, key + 2, length - 4))
		return false;
	return !is_class(edges->heap, owner) ||
		(!has_label(edges, value, bound) && !is_taken(key + 2, length - 4) &&
			!is_overridden(edges, value, "__get__"));
}

static bool finds_attribute(struct rmr_edges *edges, uint32_t owner, const char *name)
{
	/* The locals of a frame object are no attributes, nor what a module keeps beside its dict. */
	static const char *const of_frames[] = {"f_back", "f_code", "f_builtins", "f_globals",
		"f_locals", "f_trace", "__class__", NULL};
	static const char *const frames[] = {"frame", NULL}, *const modules[] = {"module", NULL};
	static const char *const of_c[] = {"getset_descriptor", "member_descriptor", NULL};
	bool known, is_dict = !strcmp(name, "__dict__");

	if (has_label(edges, owner, frames))
		return is_among(name, strlen(name), of_frames);
	if ((has_label(edges, owner, modules) && !strcmp(name, "__name__")) ||
		is_overridden(edges, owner, "__getattribute__"))
		return false;
	uint32_t found = look_up(edges, owner, name, &known);
	if (!known)
		return true;
	if (found == RMR_NO_OBJECT)
		return !is_dict;
	if (has_label(edges, found, of_c))
		return true;
	/* An attribute of a derived class hides the slot of its base from Python. */
	return !is_dict && !is_data_descriptor(edges, found) && !has_slot(edges, owner, name);
}

bool rmr_python_finds(struct rmr_edges *edges, uint32_t owner, const char *name)
{
	if (*name == '[')
		return is_subscript(name) && (owner == RMR_NO_OBJECT ||
			rmr_heap_builtin(edges->heap, owner) != RMR_BUILTIN_OTHER ||
			!is_overridden(edges, owner, "__getitem__"));
	if (*name != '.' || !is_attribute_name(name + 1, strlen(name + 1)))
		return false;
	return owner == RMR_NO_OBJECT || finds_attribute(edges, owner, name + 1);
}
