// SPDX-License-Identifier: GPL-3.0-or-later
/**
 * @file
 * Without libFuzzer (gcc), a harness is a program that runs the files it is given.
 */
#ifndef RMR_TESTS_FUZZ_REPLAY_H
#define RMR_TESTS_FUZZ_REPLAY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef __clang__
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		static uint8_t data[1 << 20];
		FILE *in = fopen(argv[i], "rb");
		if (!in) {
			perror(argv[i]);
			return 2;
		}
		size_t size = fread(data, 1, sizeof(data), in);
		fclose(in);
		LLVMFuzzerTestOneInput(data, size);
	}
	return 0;
}
#endif

#endif
