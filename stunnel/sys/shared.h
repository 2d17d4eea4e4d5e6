/* SPDX-License-Identifier: ISC */
#ifndef SHARED_H
#define SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Memory that this process and all that it forks later share, under a name. A program that takes
 * this one's place in an upgrade goes on with the same memory, if it uses it in the same way.
 */

/*
 * Zeroed; or, after shared_inherit(), what the process before had under that name, if layout and
 * size are the same, as it is then. Of several with a name the first comes first. layout: another
 * number wherever the memory is used in another way. NULL without memory.
 */
void *shared_map(const char *name, uint64_t layout, size_t size);
void shared_unmap(void *memory); /* NULL: nothing */

/* Zeroed, and without a name: no upgrade hands it over. Pages cost nothing before they are used. */
void *shared_new(size_t size);		     /* NULL without memory, as errno says */
void shared_free(void *memory, size_t size); /* NULL: nothing */

/* The layout that adds these bytes to what another one says; begins with 0. */
uint64_t shared_layout(uint64_t layout, const void *bytes, size_t len);

/*
 * What the process before left of that layout, and nobody has mapped yet: the size of what has that
 * name, or 0; and the first name that begins so, valid until the next call of this module, or NULL.
 */
size_t shared_left(const char *name, uint64_t layout);
const char *shared_left_name(const char *prefix, uint64_t layout);

/* --- upgrades --------------------------------------------------------------------------------- */

typedef void shared_call(void *to, int fd, uint64_t layout, const char *name);

/* Calls for all that can be handed over, the oldest first; descriptors are close-on-exec. */
void shared_each(shared_call *call, void *to);

/*
 * shared_own(): this process looks after the memory, until it ends or unmaps it. shared_owner():
 * which other one does; 0: none; -1: that cannot be known.
 */
void shared_own(const void *memory);
pid_t shared_owner(const void *memory);

/*
 * Sends a signal, with SI_QUEUE as its code, to the other process that looks after the memory, if
 * there is one, and never to one that has got its number since.
 */
void shared_tell_owner(const void *memory, int number);

/* Takes over a descriptor and what the process before said of it; false: it is no such memory. */
bool shared_inherit(int fd, uint64_t layout, const char *name);

/* Lets go of what was inherited and not mapped. */
void shared_settle(void);

/* In a child: keeps what is mapped, and cannot hand it over. */
void shared_let_go(void);

#endif
