/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests need of Linux and Swift's Glibc does not show. For the calling thread only. */
#ifndef CISOLATION_H
#define CISOLATION_H

/* A network namespace of its own. Returns 0 or an error number. */
int isolation_unshare_network(void);
/* The network namespace of a process. Returns 0 or an error number. */
int isolation_enter_network(int process);
/* Stays on one processor, or with -1 on none. Returns 0 or an error number. */
int isolation_pin(int processor);
/* A socket that sends whole frames out of an interface; negative: an error number. */
int isolation_frame_socket(unsigned interface);

#endif
