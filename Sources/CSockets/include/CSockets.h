/* SPDX-License-Identifier: Apache-2.0 */
/* What Swift's Glibc module lacks of sockets, since it is built without _GNU_SOURCE: batch calls,
 * epoll, eventfd, network namespaces, peer credentials, threads. Thin: every function is one
 * system call, returns what it returns (-1 and errno on errors), and keeps nothing. */
#ifndef CSOCKETS_H
#define CSOCKETS_H

#include <stdint.h>
#include <sys/socket.h>

/* One datagram of a batch: struct mmsghdr under a name that Swift can see. */
struct csockets_datagram {
  struct msghdr header;
  unsigned int length; /* set by the kernel: bytes received or sent */
};

/* recvmmsg(2): how many of `count` datagrams were filled in. */
int csockets_receive(int descriptor, struct csockets_datagram *datagrams, unsigned int count,
                     int flags);

/* sendmmsg(2): how many of `count` datagrams were sent. */
int csockets_send(int descriptor, struct csockets_datagram *datagrams, unsigned int count,
                  int flags);

/* Bytes that csockets_join needs behind `control`: CMSG_SPACE of 16 bits. */
enum { CSOCKETS_JOIN_CONTROL = 24 };

/* Makes one message of several datagrams to one receiver, whose bytes its parts are: the kernel
 * cuts it into datagrams of `length` bytes, the last of which may be shorter (UDP_SEGMENT). */
void csockets_join(struct csockets_datagram *message, void *control, uint16_t length);

/* Bits of readiness. */
enum {
  CSOCKETS_READABLE = 0x001,
  CSOCKETS_WRITABLE = 0x004,
  CSOCKETS_ERROR = 0x008,
  CSOCKETS_HANG_UP = 0x010,
};

/* One ready descriptor. (struct epoll_event is packed on some architectures; this is not.) */
struct csockets_event {
  uint64_t token;
  uint32_t readiness;
};

/* The most events that one wait returns. */
enum { CSOCKETS_EVENTS_MAX = 64 };

/* epoll_create1(2), closed on exec. */
int csockets_poll_create(void);

/* epoll_ctl(2): watches a descriptor (level-triggered), or changes what it is watched for. */
int csockets_poll_add(int poll, int descriptor, uint32_t readiness, uint64_t token);
int csockets_poll_change(int poll, int descriptor, uint32_t readiness, uint64_t token);
int csockets_poll_remove(int poll, int descriptor);

/* epoll_pwait2(2): waits at most `nanoseconds` (negative: for ever) and fills in at most
 * CSOCKETS_EVENTS_MAX events. */
int csockets_poll_wait(int poll, struct csockets_event *events, int64_t nanoseconds);

/* eventfd(2), non-blocking, closed on exec. */
int csockets_event_create(void);

/* /dev/net/tun: makes an Ethernet interface of this name in the thread's network namespace. What is
 * sent out of it can be read from the descriptor, and what is written arrives at it, a frame at a
 * time. It goes away with the descriptor, which is non-blocking and closed on exec. */
int csockets_tap_create(const char *name);

/* A netlink socket in the thread's network namespace: of rtnetlink, which also gets what is told to
 * these groups (RTMGRP_...; 0: none), or of generic netlink. Non-blocking, closed on exec. */
int csockets_netlink_open(int is_generic, uint32_t groups);

/* The driver of an interface, at most 31 characters and a zero (ETHTOOL_GDRVINFO). */
int csockets_driver(const char *interface, char driver[32]);

/* ETHTOOL_GTXCSUM: whether the interface computes checksums of what it sends; ETHTOOL_GFLAGS: its
 * other features. */
int csockets_checksums(const char *interface, uint32_t *are_computed);
int csockets_features(const char *interface, uint32_t *flags);
enum { CSOCKETS_STRIPS_VLAN_TAGS = 1 << 8 };

/* setns(2) with CLONE_NEWNET: moves the calling thread, and no other. */
int csockets_enter_network_namespace(int descriptor);

/* unshare(2) with CLONE_NEWNET: moves the calling thread, and no other, to a network namespace of
 * its own, which has no name and goes away with it. */
int csockets_leave_network_namespace(void);

/* sched_setaffinity(2): the calling thread, and no other, stays on the processor that it is on. */
int csockets_pin_thread(void);

/* sched_setscheduler(2) with SCHED_FIFO: the calling thread runs before those of no such class. */
int csockets_run_first(void);

/* SO_PEERCRED: who is at the other end of a connected local socket. */
struct csockets_peer {
  int32_t process;
  uint32_t user;
  uint32_t group;
};
int csockets_peer_of(int descriptor, struct csockets_peer *peer);

/* PR_SET_TIMERSLACK: by how much the kernel may delay this thread's time-outs (default 50,000). */
int csockets_set_timer_slack(uint64_t nanoseconds);

/* PR_SET_NAME: what this thread is called in ps -L and debuggers; 15 bytes count. */
int csockets_name_thread(const char *name);

/* sched_getaffinity(2) of the calling thread: fills in the numbers of the processors that it may
 * run on, in ascending order, at most `count`; returns how many there are. */
int csockets_processors(int *processors, int count);

/* sched_setaffinity(2): the calling thread runs on these processors alone from now on. */
int csockets_set_processors(const int *processors, int count);

#endif
