/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decision code and the controller's changes once more, so that they can stop before every
 * access to what processors share: the simulator lets packets and the controller come in between,
 * as they do in the kernel, or the controller die there.
 */
#include <stdlib.h>
#include <ucontext.h>

static void step(void);
#define DIRECTORY_STEP() step()
#include "CHotrack.h"

#define STACK_BYTES (64 * 1024)

struct hotrack_stepped {
  ucontext_t caller, self;
  char *stack;
  struct directory *directory;
  struct hotrack_header *header;
  struct rack_verdict *verdict;
  const struct directory_change *change; /* what is made in steps; NULL: a decision */
  __u32 length;
  __u32 steps_left; /* until it stops; 0: it does not */
  enum rack_sender sender;
  __u8 server;
  __u8 finished;
};

/* What this thread is in the middle of. */
static _Thread_local struct hotrack_stepped *current;

static void step(void) {
  struct hotrack_stepped *decision = current;

  if (decision && decision->steps_left && --decision->steps_left == 0)
    swapcontext(&decision->self, &decision->caller);
}

static void decide(void) {
  struct hotrack_stepped *decision = current;

  if (decision->change)
    directory_apply(decision->directory, decision->change);
  else
    rack_on_datagram(decision->directory, decision->header, decision->length, decision->sender,
                     decision->server, decision->verdict);
  decision->finished = 1;
}

struct hotrack_stepped *hotrack_stepped_create(void) {
  struct hotrack_stepped *decision = calloc(1, sizeof(*decision));

  if (!decision)
    return NULL;
  decision->stack = malloc(STACK_BYTES);
  if (!decision->stack) {
    free(decision);
    return NULL;
  }
  return decision;
}

void hotrack_stepped_destroy(struct hotrack_stepped *decision) {
  free(decision->stack);
  free(decision);
}

static void begin(struct hotrack_stepped *decision, struct directory *d) {
  decision->directory = d;
  decision->finished = 0;
  getcontext(&decision->self);
  decision->self.uc_stack.ss_sp = decision->stack;
  decision->self.uc_stack.ss_size = STACK_BYTES;
  decision->self.uc_link = &decision->caller;
  makecontext(&decision->self, decide, 0);
}

void hotrack_stepped_begin_change(struct hotrack_stepped *decision, struct directory *d,
                                  const struct directory_change *change) {
  decision->change = change;
  begin(decision, d);
}

void hotrack_stepped_begin(struct hotrack_stepped *decision, struct directory *d,
                           struct hotrack_header *h, __u32 length, enum rack_sender sender,
                           __u8 server, struct rack_verdict *verdict) {
  decision->change = NULL;
  decision->header = h;
  decision->length = length;
  decision->sender = sender;
  decision->server = server;
  decision->verdict = verdict;
  begin(decision, d);
}

int hotrack_stepped_run(struct hotrack_stepped *decision, __u32 steps) {
  decision->steps_left = steps;
  current = decision;
  swapcontext(&decision->caller, &decision->self);
  current = NULL;
  return decision->finished;
}
