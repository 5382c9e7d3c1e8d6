/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "CIsolation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int isolation_unshare_network(void) {
  return unshare(CLONE_NEWNET) ? errno : 0;
}

int isolation_enter_network(int process) {
  char path[64];
  int file, code = 0;

  snprintf(path, sizeof(path), "/proc/%d/ns/net", process);
  file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return errno;
  if (setns(file, CLONE_NEWNET))
    code = errno;
  close(file);
  return code;
}

int isolation_pin(int processor) {
  cpu_set_t set;
  int each;

  CPU_ZERO(&set);
  for (each = 0; each < CPU_SETSIZE; each++)
    if (processor == each || processor < 0)
      CPU_SET(each, &set);
  return sched_setaffinity(0, sizeof(set), &set) ? errno : 0;
}

int isolation_frame_socket(unsigned interface) {
  struct sockaddr_ll place = {.sll_family = AF_PACKET, .sll_ifindex = (int)interface};
  int file = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), code;

  if (file < 0)
    return -errno;
  if (!bind(file, (struct sockaddr *)&place, sizeof(place)))
    return file;
  code = errno;
  close(file);
  return -code;
}
