/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what a thread takes from the allocator: for tests that a path allocates nothing. */
#ifndef CALLOCATIONS_H
#define CALLOCATIONS_H

#include <stdint.h>

/* Calls of malloc and its kin that the calling thread has made so far. */
uint64_t callocations_count(void);

#endif
