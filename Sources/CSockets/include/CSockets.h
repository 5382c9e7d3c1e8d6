/* SPDX-License-Identifier: Apache-2.0 */
/* What Swift's Glibc module lacks of sockets: batch calls, epoll, namespaces. */
#ifndef CSOCKETS_H
#define CSOCKETS_H
#endif
