/* SPDX-License-Identifier: Apache-2.0 */
/* The files of web/ as parts of the executable, so that there is nothing to install beside it. */
#ifndef CWEBPAGE_H
#define CWEBPAGE_H

#include <stddef.h>

struct cwebpage_file {
  /* As in a URL; the page itself is "/". */
  const char *path;
  /* Its media type. */
  const char *type;
  const unsigned char *bytes;
  size_t length;
};

/* How many there are, and one of them; `index` counts from 0. */
size_t cwebpage_count(void);
struct cwebpage_file cwebpage_file(size_t index);

#endif
