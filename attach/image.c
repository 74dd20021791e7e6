// SPDX-License-Identifier: GPL-3.0-or-later
#include "attach/image.h"

#include "attach/arch.h"
#include "attach/cleanup.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* No table of a real file comes near these; they bound what a damaged one makes us allocate. */
enum {
	MAX_PHDRS = 128,
	MAX_DYNAMIC = 512,
	MAX_SYMBOLS = 4 * 1024 * 1024,
	MAX_STRINGS = 128 * 1024 * 1024,
	MAX_FILE = 256 * 1024 * 1024,
	CHAIN_BLOCK = 1024, /* links of a hash chain that are read at once */
};

struct rmr_image {
	rmr_addr_t bias;
	Elf64_Ehdr header;
	Elf64_Phdr *phdrs;
	size_t phdr_count;
	Elf64_Sym *symbols;
	size_t symbol_count;
	uint16_t *versions; /* as many as symbols, or NULL */
	char *strings;	    /* NUL-terminated */
	size_t strings_size;
	uint32_t *hash; /* DT_GNU_HASH: bloom left out, then buckets and chains; or NULL */
	uint32_t bucket_count;
	uint32_t first_hashed;
};

/* Where the dynamic section says that the tables are; 0 = absent. */
struct tables {
	rmr_addr_t symbols;
	rmr_addr_t strings;
	uint64_t strings_size;
	rmr_addr_t gnu_hash;
	rmr_addr_t hash;
	rmr_addr_t versions;
};

struct source {
	rmr_read_fn read;
	void *context;
};

static struct rmr_error *malformed(const char *what)
{
	return rmr_error_create(
		RMR_E_TARGET, 0, "the ELF file in the target's memory has %s", what);
}

static enum rmr_image_kind header_kind(const Elf64_Ehdr *header)
{
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return RMR_IMAGE_NONE;
	if (header->e_ident[EI_CLASS] == ELFCLASS32)
		return RMR_IMAGE_32;
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
		header->e_machine != RMR_ARCH_ELF_MACHINE)
		return RMR_IMAGE_FOREIGN;
	return RMR_IMAGE_NATIVE;
}

enum rmr_image_kind rmr_image_probe(rmr_read_fn read, void *context, rmr_addr_t base)
{
	Elf64_Ehdr header;

	if (!read(context, base, &header, sizeof(header)))
		return RMR_IMAGE_NONE;
	return header_kind(&header);
}

static void *read_array(const struct source *source, rmr_addr_t address, size_t count, size_t size)
{
	void *array = malloc(count * size + 1);

	if (array && !source->read(source->context, address, array, count * size)) {
		free(array);
		return NULL;
	}
	return array;
}

static struct rmr_error *read_headers(
	struct rmr_image *image, const struct source *source, rmr_addr_t base)
{
	Elf64_Ehdr *header = &image->header;

	if (!source->read(source->context, base, header, sizeof(*header)) ||
		header_kind(header) != RMR_IMAGE_NATIVE)
		return malformed("no header of this machine");
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > MAX_PHDRS ||
		header->e_phnum == 0 || header->e_phoff > MAX_FILE)
		return malformed("a strange program header table");
	image->phdr_count = header->e_phnum;
	image->phdrs =
		read_array(source, base + header->e_phoff, image->phdr_count, sizeof(Elf64_Phdr));
	if (!image->phdrs)
		return malformed("an unreadable program header table");
	for (size_t i = 0; i < image->phdr_count; i++) {
		const Elf64_Phdr *phdr = &image->phdrs[i];
		if (phdr->p_type != PT_LOAD)
			continue;
		/* The first loadable segment holds the file's first byte: base. */
		image->bias = base - (phdr->p_vaddr - phdr->p_offset);
		return NULL;
	}
	return malformed("no loadable segment");
}

static const Elf64_Phdr *find_phdr(const struct rmr_image *image, uint32_t type)
{
	for (size_t i = 0; i < image->phdr_count; i++) {
		if (image->phdrs[i].p_type == type)
			return &image->phdrs[i];
	}
	return NULL;
}

/*
 * glibc adds the bias to the dynamic section's pointers in place, unless the section is read-only
 * (glibc 2.36 elf/get-dynamic-info.h, elf_get_dynamic_info); the vdso's stay as they are.
 */
static rmr_addr_t rebase(const struct rmr_image *image, uint64_t pointer)
{
	return pointer < image->bias ? pointer + image->bias : pointer;
}

static bool read_tables(
	const struct rmr_image *image, const struct source *source, struct tables *ret)
{
	const Elf64_Phdr *phdr = find_phdr(image, PT_DYNAMIC);

	memset(ret, 0, sizeof(*ret));
	if (!phdr)
		return false;
	size_t count = phdr->p_memsz / sizeof(Elf64_Dyn);
	if (count > MAX_DYNAMIC)
		count = MAX_DYNAMIC;
	_rmr_free_ Elf64_Dyn *dynamic =
		read_array(source, image->bias + phdr->p_vaddr, count, sizeof(Elf64_Dyn));
	if (!dynamic)
		return false;
	for (size_t i = 0; i < count && dynamic[i].d_tag != DT_NULL; i++) {
		rmr_addr_t pointer = rebase(image, dynamic[i].d_un.d_ptr);
		switch (dynamic[i].d_tag) {
		case DT_SYMTAB:
			ret->symbols = pointer;
			break;
		case DT_STRTAB:
			ret->strings = pointer;
			break;
		case DT_STRSZ:
			ret->strings_size = dynamic[i].d_un.d_val;
			break;
		case DT_GNU_HASH:
			ret->gnu_hash = pointer;
			break;
		case DT_HASH:
			ret->hash = pointer;
			break;
		case DT_VERSYM:
			ret->versions = pointer;
			break;
		default:
			break;
		}
	}
	return ret->symbols && ret->strings && (ret->gnu_hash || ret->hash);
}

/* Some links of the hash table's chains. */
struct block {
	uint32_t first;
	uint32_t count;
	uint32_t links[CHAIN_BLOCK];
};

static bool read_link(const struct source *source, rmr_addr_t chains, uint32_t index,
	struct block *block, uint32_t *ret)
{
	if (index - block->first >= block->count) {
		rmr_addr_t at = chains + 4ull * index;
		block->first = index;
		/* The table may end with the last mapped page. */
		block->count = CHAIN_BLOCK;
		while (!source->read(source->context, at, block->links, 4ull * block->count)) {
			block->count /= 4;
			if (!block->count)
				return false;
		}
	}
	*ret = block->links[index - block->first];
	return true;
}

/* The number of symbols is one more than the last index of the longest chain. */
static bool count_by_gnu_hash(
	struct rmr_image *image, const struct source *source, rmr_addr_t chains)
{
	struct block block = {.count = 0};
	uint32_t last = 0;

	for (uint32_t i = 0; i < image->bucket_count; i++) {
		if (image->hash[i] > last)
			last = image->hash[i];
	}
	if (last < image->first_hashed) {
		image->symbol_count = image->first_hashed;
		return true;
	}
	for (; last < MAX_SYMBOLS; last++) {
		uint32_t value;
		if (!read_link(source, chains, last - image->first_hashed, &block, &value))
			return false;
		if (value & 1)
			break;
	}
	image->symbol_count = (size_t)last + 1;
	return last < MAX_SYMBOLS;
}

static bool read_gnu_hash(struct rmr_image *image, const struct source *source, rmr_addr_t address)
{
	uint32_t header[4]; /* buckets, first hashed symbol, bloom words, bloom shift */

	if (!source->read(source->context, address, header, sizeof(header)) || header[0] == 0 ||
		header[0] > MAX_SYMBOLS || header[1] > MAX_SYMBOLS || header[2] > MAX_SYMBOLS)
		return false;
	image->bucket_count = header[0];
	image->first_hashed = header[1];
	rmr_addr_t buckets = address + sizeof(header) + 8ull * header[2];
	rmr_addr_t chains = buckets + 4ull * header[0];
	image->hash = read_array(source, buckets, header[0], 4);
	if (!image->hash || !count_by_gnu_hash(image, source, chains))
		return false;
	size_t chain_count = image->symbol_count - image->first_hashed;
	uint32_t *both = realloc(image->hash, 4 * (header[0] + chain_count) + 1);
	if (!both)
		return false;
	image->hash = both;
	return source->read(source->context, chains, both + header[0], 4 * chain_count);
}

static struct rmr_error *read_symbols(
	struct rmr_image *image, const struct source *source, const struct tables *tables)
{
	uint32_t header[2]; /* buckets, symbols */

	if (tables->gnu_hash) {
		if (!read_gnu_hash(image, source, tables->gnu_hash))
			return malformed("a damaged hash table");
	} else {
		if (!source->read(source->context, tables->hash, header, sizeof(header)))
			return malformed("an unreadable hash table");
		image->symbol_count = header[1];
	}
	if (image->symbol_count > MAX_SYMBOLS || tables->strings_size > MAX_STRINGS)
		return malformed("an impossible number of symbols");
	image->strings_size = (size_t)tables->strings_size;
	image->symbols =
		read_array(source, tables->symbols, image->symbol_count, sizeof(Elf64_Sym));
	image->strings = read_array(source, tables->strings, image->strings_size, 1);
	if (!image->symbols || !image->strings)
		return malformed("an unreadable symbol table");
	image->strings[image->strings_size] = '\0';
	if (tables->versions)
		image->versions =
			read_array(source, tables->versions, image->symbol_count, sizeof(uint16_t));
	return NULL;
}

struct rmr_error *rmr_image_create(
	rmr_read_fn read, void *context, rmr_addr_t base, struct rmr_image **ret)
{
	struct source source = {read, context};
	struct tables tables;
	struct rmr_image *image = calloc(1, sizeof(*image));

	if (!image)
		return &rmr_enomem;
	struct rmr_error *err = read_headers(image, &source, base);
	if (!err && read_tables(image, &source, &tables))
		err = read_symbols(image, &source, &tables);
	if (err) {
		rmr_image_destroy(image);
		return err;
	}
	*ret = image;
	return NULL;
}

void rmr_image_destroy(struct rmr_image *image)
{
	if (!image)
		return;
	free(image->phdrs);
	free(image->symbols);
	free(image->versions);
	free(image->strings);
	free(image->hash);
	free(image);
}

static bool is_match(const struct rmr_image *image, size_t index, const char *name)
{
	const Elf64_Sym *symbol = &image->symbols[index];
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	if (symbol->st_shndx == SHN_UNDEF || symbol->st_name >= image->strings_size)
		return false;
	if (type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE)
		return false;
	return strcmp(image->strings + symbol->st_name, name) == 0;
}

static uint32_t gnu_hash(const char *name)
{
	uint32_t hash = 5381;

	for (const unsigned char *p = (const unsigned char *)name; *p; p++)
		hash = hash * 33 + *p;
	return hash;
}

/* The first matching symbol from @p from on in @p name's chain; symbol_count if there is none. */
static size_t next_match(const struct rmr_image *image, const char *name, size_t from)
{
	if (!image->hash) {
		for (size_t i = from; i < image->symbol_count; i++) {
			if (is_match(image, i, name))
				return i;
		}
		return image->symbol_count;
	}
	uint32_t hash = gnu_hash(name);
	const uint32_t *chains = image->hash + image->bucket_count;
	size_t i = from ? from : image->hash[hash % image->bucket_count];
	if (from && (chains[from - 1 - image->first_hashed] & 1))
		return image->symbol_count;
	if (i < image->first_hashed)
		return image->symbol_count;
	for (; i < image->symbol_count; i++) {
		uint32_t value = chains[i - image->first_hashed];
		if ((value | 1) == (hash | 1) && is_match(image, i, name))
			return i;
		if (value & 1)
			break;
	}
	return image->symbol_count;
}

rmr_addr_t rmr_image_symbol(const struct rmr_image *image, const char *name, uint64_t *size_ret)
{
	const Elf64_Sym *found = NULL;

	for (size_t i = next_match(image, name, 0); i < image->symbol_count;
		i = next_match(image, name, i + 1)) {
		/* Bit 15 of a version marks one that is not the default. */
		bool hidden = image->versions && (image->versions[i] & 0x8000);
		if (!found || !hidden)
			found = &image->symbols[i];
		if (!hidden)
			break;
	}
	if (!found)
		return 0;
	if (size_ret)
		*size_ret = found->st_size;
	return image->bias + found->st_value;
}

void rmr_image_each_version(const struct rmr_image *image, const char *name,
	void (*visit)(void *context, rmr_addr_t address, uint64_t size), void *context)
{
	for (size_t i = next_match(image, name, 0); i < image->symbol_count;
		i = next_match(image, name, i + 1))
		visit(context, image->bias + image->symbols[i].st_value, image->symbols[i].st_size);
}

rmr_addr_t rmr_image_bias(const struct rmr_image *image)
{
	return image->bias;
}

bool rmr_image_bss(const struct rmr_image *image, rmr_addr_t *start_ret, rmr_addr_t *end_ret)
{
	for (size_t i = 0; i < image->phdr_count; i++) {
		const Elf64_Phdr *phdr = &image->phdrs[i];
		if (phdr->p_type != PT_LOAD || !(phdr->p_flags & PF_W) ||
			phdr->p_memsz <= phdr->p_filesz || phdr->p_memsz > MAX_FILE)
			continue;
		*start_ret = image->bias + phdr->p_vaddr + phdr->p_filesz;
		*end_ret = image->bias + phdr->p_vaddr + phdr->p_memsz;
		return true;
	}
	return false;
}

rmr_addr_t rmr_image_eh_frame_hdr(const struct rmr_image *image)
{
	const Elf64_Phdr *phdr = find_phdr(image, PT_GNU_EH_FRAME);

	return phdr ? image->bias + phdr->p_vaddr : 0;
}

struct rmr_error *rmr_image_copy_file(const struct rmr_image *image, rmr_read_fn read,
	void *context, void **ret, size_t *size_ret)
{
	uint64_t size = sizeof(Elf64_Ehdr), total = 0;

	for (size_t i = 0; i < image->phdr_count; i++) {
		const Elf64_Phdr *phdr = &image->phdrs[i];
		if (phdr->p_type != PT_LOAD)
			continue;
		if (phdr->p_offset > MAX_FILE || phdr->p_filesz > MAX_FILE - total)
			return malformed("a segment that is too large");
		total += phdr->p_filesz;
		if (phdr->p_offset + phdr->p_filesz > size)
			size = phdr->p_offset + phdr->p_filesz;
	}
	_rmr_free_ char *copy = calloc(1, size);
	if (!copy)
		return &rmr_enomem;
	for (size_t i = 0; i < image->phdr_count; i++) {
		const Elf64_Phdr *phdr = &image->phdrs[i];
		if (phdr->p_type == PT_LOAD && phdr->p_filesz && (phdr->p_flags & PF_R) &&
			!read(context, image->bias + phdr->p_vaddr, copy + phdr->p_offset,
				phdr->p_filesz))
			return malformed("an unreadable segment");
	}
	/* Section headers are not loaded: without them libdw goes by the program headers. */
	Elf64_Ehdr header = image->header;
	header.e_shoff = 0;
	header.e_shnum = 0;
	header.e_shstrndx = 0;
	memcpy(copy, &header, sizeof(header));
	*ret = rmr_take(copy);
	*size_ret = (size_t)size;
	return NULL;
}
