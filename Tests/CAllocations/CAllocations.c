/* SPDX-License-Identifier: Apache-2.0 */
#include "CAllocations.h"

#include <errno.h>
#include <stddef.h>

/* The executable's own malloc takes the place of the C library's in every library of the process
 * (symbol interposition); glibc keeps its own under these names. */
extern void *__libc_malloc(size_t length);
extern void *__libc_calloc(size_t count, size_t length);
extern void *__libc_realloc(void *memory, size_t length);
extern void *__libc_memalign(size_t alignment, size_t length);

static __thread uint64_t count;

uint64_t callocations_count(void) {
  return count;
}

void *malloc(size_t length) {
  count++;
  return __libc_malloc(length);
}

void *calloc(size_t number, size_t length) {
  count++;
  return __libc_calloc(number, length);
}

void *realloc(void *memory, size_t length) {
  count++;
  return __libc_realloc(memory, length);
}

void *aligned_alloc(size_t alignment, size_t length) {
  count++;
  return __libc_memalign(alignment, length);
}

int posix_memalign(void **memory, size_t alignment, size_t length) {
  count++;
  *memory = __libc_memalign(alignment, length);
  return *memory ? 0 : ENOMEM;
}
