/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What the data plane does with rack tags (tag.h): servers' packets must carry one, what goes to a
 * server gets one, and clients see none. Without a key there are no tags, and no packet is touched.
 */
#ifndef HOTRACK_PLANE_TAG_H
#define HOTRACK_PLANE_TAG_H

#include "rack.h"
#include "tag.h"

/* The tag that a header is to have under one of the keys, as it stands in the header. */
DIRECTORY_INLINE __be64 plane_tag(PLANE *plane, const struct hotrack_header *h, int key,
                                  enum tag_direction direction) {
  const volatile struct tag_key *words = &PLANE_CONFIGURATION(plane)->rack_keys[key];

  return RACK_SWAP64(tag_of(h, words->word[0], words->word[1], direction));
}

/*
 * Is the tag of a packet as it has to be of this sender? COUNTER_PASS: it is. A server's has the
 * rack's, under the key or the one that is on its way in or out; anybody else's has none.
 */
DIRECTORY_INLINE __u32 plane_check_tag(PLANE *plane, const struct hotrack_header *h, __u32 sender) {
  __u8 keys = PLANE_CONFIGURATION(plane)->rack_key_count;

  if (!keys)
    return COUNTER_PASS;
  if (sender != RACK_SERVER)
    return h->rack_tag ? COUNTER_DROP_FORGED_STAMP : COUNTER_PASS;
  if (h->rack_tag == plane_tag(plane, h, 0, TAG_FROM_SERVER) ||
      (keys > 1 && h->rack_tag == plane_tag(plane, h, 1, TAG_FROM_SERVER)))
    return COUNTER_PASS;
  return COUNTER_DROP_RACK_TAG;
}

/* Tags what goes to a server: the last change of its header. */
DIRECTORY_INLINE void plane_put_tag(PLANE *plane, struct hotrack_header *h,
                                    struct rack_sums *sums) {
  __be64 tag;

  if (!PLANE_CONFIGURATION(plane)->rack_key_count)
    return;
  tag = plane_tag(plane, h, 0, TAG_TO_SERVER);
  sums->removed += rack_sum(h->rack_tag);
  sums->added += rack_sum(tag);
  h->rack_tag = tag;
}

/* Takes the tag off what leaves the rack. */
DIRECTORY_INLINE void plane_clear_tag(PLANE *plane, struct hotrack_header *h,
                                      struct rack_sums *sums) {
  if (!PLANE_CONFIGURATION(plane)->rack_key_count)
    return;
  sums->removed += rack_sum(h->rack_tag);
  h->rack_tag = 0;
}

#endif
