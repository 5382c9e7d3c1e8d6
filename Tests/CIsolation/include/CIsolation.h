/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests need of Linux and Swift's Glibc does not show. For the calling thread only. */
#ifndef CISOLATION_H
#define CISOLATION_H

/* A network namespace of its own. Returns 0 or an error number. */
int isolation_unshare_network(void);
/* Stays on one processor. Returns 0 or an error number. */
int isolation_pin(int processor);

#endif
