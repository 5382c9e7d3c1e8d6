/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The rack's program with a fault, for the test of a test: a state word is written by two plain
 * stores instead of one swap, so that another CPU can come between them.
 */
#define DIRECTORY_FAULT(d, fault) ((void)(d), (fault) == DIRECTORY_FAULT_TORN_WORD)
#include "../rack.bpf.c"
