// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/maps.h"

#include "attach/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* Takes a hexadecimal number of 1 to 16 digits from *text; false if there is none. */
static bool take_hex(const char **text, uint64_t *ret)
{
	uint64_t value = 0;
	int digits = 0;

	for (;; (*text)++, digits++) {
		char c = **text;
		unsigned digit;
		if (c >= '0' && c <= '9')
			digit = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			digit = (unsigned)(c - 'a') + 10;
		else
			break;
		if (digits == 16)
			return false;
		value = value << 4 | digit;
	}
	*ret = value;
	return digits > 0;
}

static bool take_decimal(const char **text, uint64_t *ret)
{
	uint64_t value = 0;
	int digits = 0;

	for (; **text >= '0' && **text <= '9'; (*text)++, digits++) {
		if (digits == 19)
			return false;
		value = value * 10 + (uint64_t)(**text - '0');
	}
	*ret = value;
	return digits > 0;
}

static bool take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

static bool take_flags(const char **text, unsigned *ret)
{
	static const char set[] = "rwxs", unset[] = "---p";
	unsigned flags = 0;

	for (unsigned i = 0; i < 4; i++, (*text)++) {
		if (**text == set[i])
			flags |= 1u << i;
		else if (**text != unset[i])
			return false;
	}
	*ret = flags;
	return true;
}

/* "start-end rwxp offset major:minor inode   path" */
static bool parse_line(char *line, struct rmr_map *map)
{
	static const char deleted[] = " (deleted)";
	const char *p = line;
	uint64_t major, minor;

	if (!take_hex(&p, &map->start) || !take_char(&p, '-') || !take_hex(&p, &map->end) ||
		!take_char(&p, ' ') || !take_flags(&p, &map->flags) || !take_char(&p, ' ') ||
		!take_hex(&p, &map->offset) || !take_char(&p, ' ') || !take_hex(&p, &major) ||
		!take_char(&p, ':') || !take_hex(&p, &minor) || !take_char(&p, ' ') ||
		!take_decimal(&p, &map->inode))
		return false;
	if (major > UINT32_MAX || minor > UINT32_MAX || map->start >= map->end)
		return false;
	map->major = (uint32_t)major;
	map->minor = (uint32_t)minor;
	char *path = line + (p - line);
	if (*path && *path != ' ')
		return false;
	path += strspn(path, " ");
	size_t size = strlen(path), cut = sizeof(deleted) - 1;
	map->deleted = map->inode && size > cut && strcmp(path + size - cut, deleted) == 0;
	if (map->deleted)
		path[size - cut] = '\0';
	map->path = path;
	return true;
}

/*
 * The kernel gives the file out a page at a time. A mapping that ended one page and has grown before
 * the next is read is listed again there: what is new of it counts. False if it is out of order.
 */
static bool follow(struct rmr_map *map, const struct rmr_map *before)
{
	if (map->end <= before->end)
		return false;
	if (map->start >= before->end)
		return true;
	if (map->inode)
		map->offset += before->end - map->start;
	map->start = before->end;
	return true;
}

static size_t count_lines(const char *text, size_t size)
{
	size_t count = size && text[size - 1] != '\n';

	for (const char *p = text; (p = memchr(p, '\n', size - (size_t)(p - text))); p++)
		count++;
	return count;
}

struct rmr_error *rmr_maps_init(struct rmr_maps *maps, const char *text, size_t size)
{
	size_t lines = count_lines(text, size), count = 0;
	_rmr_free_ char *copy = malloc(size + 1);
	_rmr_free_ struct rmr_map *array = calloc(lines + 1, sizeof(*array));

	if (!copy || !array)
		return &rmr_enomem;
	memcpy(copy, text, size);
	copy[size] = '\0';
	for (char *line = copy; line < copy + size;) {
		char *end = memchr(line, '\n', size - (size_t)(line - copy));
		if (!end)
			end = copy + size;
		*end = '\0';
		struct rmr_map *map = &array[count];
		if (!parse_line(line, map) || (count && !follow(map, &map[-1])))
			return rmr_error_create(RMR_E_OS, 0,
				"line %zu of the maps file is malformed: %.80s", count + 1, line);
		count++;
		line = end + 1;
	}
	maps->maps = rmr_take(array);
	maps->text = rmr_take(copy);
	maps->count = count;
	return NULL;
}

void rmr_maps_deinit(struct rmr_maps *maps)
{
	free(maps->maps);
	free(maps->text);
	memset(maps, 0, sizeof(*maps));
}

const struct rmr_map *rmr_maps_find(const struct rmr_maps *maps, rmr_addr_t address)
{
	size_t low = 0, high = maps->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct rmr_map *map = &maps->maps[middle];
		if (address < map->start)
			high = middle;
		else if (address >= map->end)
			low = middle + 1;
		else
			return map;
	}
	return NULL;
}

const char *rmr_maps_basename(const struct rmr_map *map)
{
	const char *slash = strrchr(map->path, '/');

	return slash ? slash + 1 : map->path;
}
