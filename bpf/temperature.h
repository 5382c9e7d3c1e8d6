/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Samples for the controller, which estimates from them how hot each key is. One of so many
 * requests is taken; each sample says how many requests it stands for.
 */
#ifndef HOTRACK_TEMPERATURE_H
#define HOTRACK_TEMPERATURE_H

#include "rack.h"

/* Counts a steered request; takes it as a sample if it is its turn. */
DIRECTORY_INLINE void temperature_on_request(PLANE *plane, FRAME *frame,
                                             const struct hotrack_header *h, __u32 body) {
  struct directory_control *control = directory_control_of(PLANE_DIRECTORY(plane));
  struct plane_cpu *cpu = PLANE_CPU(plane);
  __u32 interval = control ? DIRECTORY_READ(control->sample_interval) : 0;

  if (!interval || ++cpu->skipped < interval)
    return;
  cpu->skipped = 0;
  plane_sample(plane, frame, h, body, PLANE_SAMPLE_REQUEST, interval);
}

/* Two keys share a hash: the controller is told, and gives up the hot one. */
DIRECTORY_INLINE void temperature_on_collision(PLANE *plane, FRAME *frame,
                                               const struct hotrack_header *h, __u32 body) {
  plane_sample(plane, frame, h, body, PLANE_SAMPLE_COLLISION, 1);
}

#endif
