/* SPDX-License-Identifier: ISC */
#ifndef UPGRADE_H
#define UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/bind.h"

/*
 * The master starts the program that is now at the path of its own, and hands it the listening
 * sockets, the keys of tickets, counters and sessions. That one is the heir: a master with workers
 * of its own. When it accepts connections the old one lets go of the sockets and drains; if it does
 * not come so far, the old one goes on.
 */

/* --- in the heir ------------------------------------------------------------------------------ */

/*
 * Called first: notes the program's path, and takes out of the environment what was handed over, so
 * that no program of ours finds it.
 */
void upgrade_open(void);

/* Whether this process takes another one's place; false again after upgrade_ready(). */
bool upgrade_is_heir(void);

/* Adds the sockets to the lists, before anything is bound; false, logged, if one is none. */
bool upgrade_inherit(struct bind_address **addresses, struct bind_address **metrics);

/*
 * Connections are accepted: the old master hears of it, and this returns when it has told whoever
 * has to know that this process takes its place, or has ended, or does not in a while.
 */
void upgrade_ready(void);

/* --- in the old master ------------------------------------------------------------------------ */

struct upgrade {
	pid_t heir;	/* 0: none */
	int ready;	/* what the heir says, while it is awaited */
	uint64_t until; /* board_now() when it is not awaited any more; 0: nobody is */
	size_t len;
	char said[2048]; /* why it could not start */
};

enum upgrade_state {
	UPGRADE_NONE = 0, /* nobody is awaited */
	UPGRADE_AWAITED,
	UPGRADE_DONE, /* the heir accepts connections */
	UPGRADE_FAILED,
};

/* What the heir is given. */
struct upgrade_order {
	const char *path; /* of its configuration file */
	bool background;  /* nobody reads its standard error */
	int attend;	  /* of attend_open() */
	struct bind_address *const *addresses, *const *metrics;
};

/* Starts the heir; false, logged, if that fails. */
bool upgrade_begin(struct upgrade *u, const struct upgrade_order *order);

/*
 * What has become of it; DONE and FAILED, which is logged, are said once. Behind DONE the heir
 * waits for upgrade_release().
 */
enum upgrade_state upgrade_look(struct upgrade *u);
void upgrade_release(const struct upgrade *u);

/* Ends an heir that is awaited: as if it had failed. */
void upgrade_cancel(struct upgrade *u);

#endif
