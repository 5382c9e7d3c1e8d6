/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* rack.bpf.c for a rack on IPv6. */
#define RACK_IPV6
#include "rack.bpf.c"
