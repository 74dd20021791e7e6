// SPDX-License-Identifier: GPL-3.0-or-later
#include "inject/agent_image.h"

#include "attach/cleanup.h"

#include <elf.h>
#include <string.h>

extern const unsigned char rmr_agent_bytes[], rmr_agent_bytes_end[];

// The image is our own, from the same build; these checks catch a broken build, not an enemy.
static struct rmr_error *broken(const char *what)
{
	return rmr_error_create(RMR_E_PROTOCOL, 0, "the embedded agent is broken: %s", what);
}

static const Elf64_Phdr *headers(size_t *count)
{
	const Elf64_Ehdr *elf = (const Elf64_Ehdr *)rmr_agent_bytes;

	*count = elf->e_phnum;
	return (const Elf64_Phdr *)(rmr_agent_bytes + elf->e_phoff);
}

struct rmr_error *rmr_agent_image_create(struct rmr_agent_image *ret)
{
	struct rmr_agent_image image = {0};
	size_t count;
	const Elf64_Phdr *header = headers(&count);

	for (size_t i = 0; i < count; i++) {
		if (header[i].p_type != PT_LOAD)
			continue;
		if (header[i].p_flags & PF_W) {
			if (header[i].p_flags & PF_X)
				return broken("a segment is writable and executable");
			if (!image.data_offset)
				image.data_offset = header[i].p_vaddr & ~4095ul;
		} else if (image.data_offset) {
			return broken("code after data");
		}
		image.size = (header[i].p_vaddr + header[i].p_memsz + 4095) & ~4095ul;
		image.filled = header[i].p_vaddr + header[i].p_filesz;
	}
	image.bytes = calloc(1, image.size);
	if (!image.bytes)
		return &rmr_enomem;
	for (size_t i = 0; i < count; i++) {
		if (header[i].p_type == PT_LOAD)
			memcpy(image.bytes + header[i].p_vaddr,
				rmr_agent_bytes + header[i].p_offset, header[i].p_filesz);
	}
	*ret = image;
	return NULL;
}

void rmr_agent_image_destroy(struct rmr_agent_image *image)
{
	free(image->bytes);
	image->bytes = NULL;
}

/** The value of a tag of the dynamic section; 0 if it is not there. */
static uint64_t dynamic(const struct rmr_agent_image *image, int64_t tag)
{
	size_t count;
	const Elf64_Phdr *header = headers(&count);

	for (size_t i = 0; i < count; i++) {
		if (header[i].p_type != PT_DYNAMIC)
			continue;
		const Elf64_Dyn *entry = (const Elf64_Dyn *)(image->bytes + header[i].p_vaddr);
		for (; entry->d_tag != DT_NULL; entry++) {
			if (entry->d_tag == tag)
				return entry->d_un.d_val;
		}
	}
	return 0;
}

struct rmr_error *rmr_agent_image_relocate(struct rmr_agent_image *image, rmr_addr_t address)
{
	const Elf64_Rela *relocation = (const Elf64_Rela *)(image->bytes + dynamic(image, DT_RELA));
	size_t count = dynamic(image, DT_RELASZ) / sizeof(*relocation);

	if (dynamic(image, DT_PLTRELSZ))
		return broken("it imports functions");
	for (size_t i = 0; i < count; i++) {
		if (ELF64_R_TYPE(relocation[i].r_info) != R_X86_64_RELATIVE)
			return broken("it has relocations other than relative ones");
		uint64_t value = address + (uint64_t)relocation[i].r_addend;
		memcpy(image->bytes + relocation[i].r_offset, &value, sizeof(value));
	}
	return NULL;
}

struct rmr_error *rmr_agent_image_symbol(const struct rmr_agent_image *image, const char *name, size_t *ret)
{
	const Elf64_Sym *symbol = (const Elf64_Sym *)(image->bytes + dynamic(image, DT_SYMTAB));
	const char *names = (const char *)image->bytes + dynamic(image, DT_STRTAB);
	// DT_HASH: the second word is the number of symbols.
	uint32_t count = ((const uint32_t *)(image->bytes + dynamic(image, DT_HASH)))[1];

	for (uint32_t i = 1; i < count; i++) {
		if (symbol[i].st_shndx != SHN_UNDEF && !strcmp(names + symbol[i].st_name, name)) {
			*ret = symbol[i].st_value;
			return NULL;
		}
	}
	return broken("a symbol is missing");
}
