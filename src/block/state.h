/* state.h: what a block remembers between steps: fixed-size values and growing or windowed caches of rows. */
#ifndef CLADE_BLOCK_STATE_H
#define CLADE_BLOCK_STATE_H

#include "block/kernel.h"

struct state *state_create(void);
void state_free(struct state *state); /* NULL is fine */
/* Before a step is built: forgets one that was built but never committed. */
void state_begin(struct state *state);
/* A value of any shape under a full name, and what it will be after the step; NULL while there is none. For
 * segments.c. */
tensor *state_find(struct scope *s, const char *name);
void state_replace(struct scope *s, const char *name, tensor *value);
/* After the graph of a step has run: takes over the new values and counts the rows appended. */
void state_commit(struct state *state);
/* Instead of a commit: the same copies, but caches stay where they were and shapes what they were, so that
 * the recorded step can run again from there. */
void state_repeat(struct state *state);
/* Bytes that the next step needs: values, and the live rows of caches. */
size_t state_bytes(const struct state *state);

#endif
