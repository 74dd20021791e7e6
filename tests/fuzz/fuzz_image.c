// SPDX-License-Identifier: GPL-3.0-or-later
// An ELF file in a target's memory: the input is the file, loaded as one piece.
#include "attach/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const rmr_addr_t base = 0x7f0000000000;

struct memory {
	const uint8_t *data;
	size_t size;
};

static bool read_memory(void *context, rmr_addr_t address, void *buffer, size_t size)
{
	const struct memory *memory = context;

	if (address < base || address - base > memory->size || size > memory->size - (address - base))
		return false;
	memcpy(buffer, memory->data + (address - base), size);
	return true;
}

static void visit(void *context, rmr_addr_t address, uint64_t size)
{
	(void)context;
	(void)address;
	(void)size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory memory = {data, size};
	struct rmr_image *image;
	rmr_addr_t start, end;
	void *copy;
	size_t copy_size;

	rmr_image_probe(read_memory, &memory, base);
	struct rmr_error *err = rmr_image_create(read_memory, &memory, base, &image);
	if (err) {
		rmr_error_destroy(err);
		return 0;
	}
	static const char *const names[] = {"", "malloc", "pthread_create", "_PyRuntime"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		rmr_image_symbol(image, names[i], NULL);
		rmr_image_each_version(image, names[i], visit, NULL);
	}
	rmr_image_bss(image, &start, &end);
	rmr_image_eh_frame_hdr(image);
	err = rmr_image_copy_file(image, read_memory, &memory, &copy, &copy_size);
	if (!err)
		free(copy);
	rmr_error_destroy(err);
	rmr_image_destroy(image);
	return 0;
}
