/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fuzz targets of ../Targets as a program. Built by dev/run-fuzzers with HOTRACK_LIBFUZZER, it
 * is a libFuzzer, whose target the environment names; otherwise it puts files through a target
 * once:
 *
 *   hotrack-fuzz TARGET FILE...
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Fuzzing.swift. select: whether there is such a target. */
int hotrack_fuzz_select(const char *name);
void hotrack_fuzz_list(void);
void hotrack_fuzz_try(const uint8_t *bytes, size_t count);

#ifdef HOTRACK_LIBFUZZER

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  const char *name = getenv("HOTRACK_FUZZ_TARGET");

  (void)argc;
  (void)argv;
  if (!name || !hotrack_fuzz_select(name)) {
    fprintf(stderr, "HOTRACK_FUZZ_TARGET names the target; there are:\n");
    hotrack_fuzz_list();
    exit(2);
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  hotrack_fuzz_try(bytes, count);
  return 0;
}

#else

static int try_file(const char *path) {
  FILE *file = fopen(path, "rb");
  uint8_t *bytes = NULL;
  long length;
  int failed = 1;

  if (!file || fseek(file, 0, SEEK_END) || (length = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) {
    perror(path);
    goto out;
  }
  bytes = malloc(length ? (size_t)length : 1);
  if (!bytes || fread(bytes, 1, (size_t)length, file) != (size_t)length) {
    perror(path);
    goto out;
  }
  hotrack_fuzz_try(bytes, (size_t)length);
  failed = 0;
out:
  free(bytes);
  if (file)
    fclose(file);
  return failed;
}

int main(int argc, char **argv) {
  int index, failed = 0;

  if (argc < 3 || !hotrack_fuzz_select(argv[1])) {
    fprintf(stderr, "usage: %s TARGET FILE...\ntargets:\n", argv[0]);
    hotrack_fuzz_list();
    return 2;
  }
  for (index = 2; index < argc; index++)
    failed |= try_file(argv[index]);
  return failed;
}

#endif
