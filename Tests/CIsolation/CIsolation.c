/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "CIsolation.h"

#include <errno.h>
#include <sched.h>

int isolation_unshare_network(void) {
  return unshare(CLONE_NEWNET) ? errno : 0;
}

int isolation_pin(int processor) {
  cpu_set_t set;

  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  return sched_setaffinity(0, sizeof(set), &set) ? errno : 0;
}
