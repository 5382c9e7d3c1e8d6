/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "CSockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct csockets_datagram) == sizeof(struct mmsghdr), "layout of mmsghdr");
_Static_assert(_Alignof(struct csockets_datagram) == _Alignof(struct mmsghdr), "layout of mmsghdr");
_Static_assert(offsetof(struct csockets_datagram, header) == offsetof(struct mmsghdr, msg_hdr),
               "layout of mmsghdr");
_Static_assert(offsetof(struct csockets_datagram, length) == offsetof(struct mmsghdr, msg_len),
               "layout of mmsghdr");
_Static_assert(CSOCKETS_READABLE == EPOLLIN && CSOCKETS_WRITABLE == EPOLLOUT &&
                   CSOCKETS_ERROR == EPOLLERR && CSOCKETS_HANG_UP == EPOLLHUP,
               "bits of epoll");

int csockets_receive(int descriptor, struct csockets_datagram *datagrams, unsigned int count,
                     int flags) {
  return recvmmsg(descriptor, (struct mmsghdr *)datagrams, count, flags, NULL);
}

int csockets_send(int descriptor, struct csockets_datagram *datagrams, unsigned int count,
                  int flags) {
  return sendmmsg(descriptor, (struct mmsghdr *)datagrams, count, flags);
}

_Static_assert(CSOCKETS_JOIN_CONTROL == CMSG_SPACE(sizeof(uint16_t)), "room for one length");

void csockets_join(struct csockets_datagram *message, void *control, uint16_t length) {
  message->header.msg_control = control;
  message->header.msg_controllen = CSOCKETS_JOIN_CONTROL;
  struct cmsghdr *segment = CMSG_FIRSTHDR(&message->header);
  segment->cmsg_level = IPPROTO_UDP;
  segment->cmsg_type = UDP_SEGMENT;
  segment->cmsg_len = CMSG_LEN(sizeof length);
  memcpy(CMSG_DATA(segment), &length, sizeof length);
}

int csockets_poll_create(void) {
  return epoll_create1(EPOLL_CLOEXEC);
}

static int control(int poll, int operation, int descriptor, uint32_t readiness, uint64_t token) {
  struct epoll_event event = {.events = readiness, .data.u64 = token};
  return epoll_ctl(poll, operation, descriptor, &event);
}

int csockets_poll_add(int poll, int descriptor, uint32_t readiness, uint64_t token) {
  return control(poll, EPOLL_CTL_ADD, descriptor, readiness, token);
}

int csockets_poll_change(int poll, int descriptor, uint32_t readiness, uint64_t token) {
  return control(poll, EPOLL_CTL_MOD, descriptor, readiness, token);
}

int csockets_poll_remove(int poll, int descriptor) {
  return control(poll, EPOLL_CTL_DEL, descriptor, 0, 0);
}

int csockets_poll_wait(int poll, struct csockets_event *events, int64_t nanoseconds) {
  struct epoll_event ready[CSOCKETS_EVENTS_MAX];
  struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  int count = epoll_pwait2(poll, ready, CSOCKETS_EVENTS_MAX, nanoseconds < 0 ? NULL : &time, NULL);
  for (int index = 0; index < count; index++) {
    events[index].token = ready[index].data.u64;
    events[index].readiness = ready[index].events;
  }
  return count;
}

int csockets_event_create(void) {
  return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

int csockets_tap_create(const char *name) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL};
  int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), code;

  if (descriptor < 0)
    return -1;
  strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
  if (ioctl(descriptor, TUNSETIFF, &request) == 0)
    return descriptor;
  code = errno;
  close(descriptor);
  errno = code;
  return -1;
}

int csockets_netlink_open(int is_generic, uint32_t groups) {
  struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
  int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
                          is_generic ? NETLINK_GENERIC : NETLINK_ROUTE);
  int code;

  if (descriptor < 0)
    return -1;
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0)
    return descriptor;
  code = errno;
  close(descriptor);
  errno = code;
  return -1;
}

static int ethtool(const char *interface, void *data) {
  struct ifreq request = {.ifr_data = data};
  int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result, code;

  if (descriptor < 0)
    return -1;
  strncpy(request.ifr_name, interface, sizeof request.ifr_name - 1);
  result = ioctl(descriptor, SIOCETHTOOL, &request);
  code = errno;
  close(descriptor);
  errno = code;
  return result;
}

int csockets_driver(const char *interface, char driver[32]) {
  struct ethtool_drvinfo information = {.cmd = ETHTOOL_GDRVINFO};

  if (ethtool(interface, &information))
    return -1;
  memcpy(driver, information.driver, 32);
  driver[31] = 0;
  return 0;
}

int csockets_checksums(const char *interface, uint32_t *are_computed) {
  struct ethtool_value value = {.cmd = ETHTOOL_GTXCSUM};

  if (ethtool(interface, &value))
    return -1;
  *are_computed = value.data;
  return 0;
}

int csockets_features(const char *interface, uint32_t *flags) {
  struct ethtool_value value = {.cmd = ETHTOOL_GFLAGS};

  if (ethtool(interface, &value))
    return -1;
  *flags = value.data;
  return 0;
}

_Static_assert(CSOCKETS_STRIPS_VLAN_TAGS == ETH_FLAG_RXVLAN, "a flag of ethtool");

int csockets_enter_network_namespace(int descriptor) {
  return setns(descriptor, CLONE_NEWNET);
}

int csockets_leave_network_namespace(void) {
  return unshare(CLONE_NEWNET);
}

int csockets_pin_thread(void) {
  int processor = sched_getcpu();
  cpu_set_t processors;

  if (processor < 0)
    return -1;
  CPU_ZERO(&processors);
  CPU_SET(processor, &processors);
  return sched_setaffinity(0, sizeof processors, &processors);
}

int csockets_run_first(void) {
  struct sched_param parameters = {.sched_priority = 1};

  return sched_setscheduler(0, SCHED_FIFO, &parameters);
}

int csockets_peer_of(int descriptor, struct csockets_peer *peer) {
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  int result = getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
  if (result == 0) {
    peer->process = credentials.pid;
    peer->user = credentials.uid;
    peer->group = credentials.gid;
  }
  return result;
}

int csockets_set_timer_slack(uint64_t nanoseconds) {
  return prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
}

int csockets_name_thread(const char *name) {
  return prctl(PR_SET_NAME, name, 0, 0, 0);
}

int csockets_processors(int *processors, int count) {
  cpu_set_t set;
  int found = 0;
  if (sched_getaffinity(0, sizeof set, &set) != 0)
    return -1;
  for (int processor = 0; processor < CPU_SETSIZE; processor++) {
    if (!CPU_ISSET(processor, &set))
      continue;
    if (found < count)
      processors[found] = processor;
    found++;
  }
  return found;
}

int csockets_set_processors(const int *processors, int count) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int index = 0; index < count; index++)
    CPU_SET(processors[index], &set);
  return sched_setaffinity(0, sizeof set, &set);
}
