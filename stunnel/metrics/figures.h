/* SPDX-License-Identifier: ISC */
#ifndef FIGURES_H
#define FIGURES_H

#include <stdint.h>

#include "conn/conn.h"
#include "sys/board.h"

/*
 * All that is known of the daemon in numbers, as families of samples, each a row of one table: what
 * is told in Prometheus' format and what the status page shows.
 */

/* A service of that name, since the daemon started: it may be in no configuration any more. */
struct figures_service {
	char *name;
	char *label; /* the name, told from those of other services of that name: web#2 */
	struct tallies *tallies;
	struct backends *backends; /* NULL: it has never had more than one address */
};

/*
 * Tells where each counter is, of which name and labels: two programs that agree in it can go on
 * with each other's counters.
 */
uint64_t figures_layout(void);

struct figures {
	const struct tally_daemon *daemon;
	const struct figures_service *service; /* service i has board_column(i) */
	size_t count;
	const struct board *board; /* with sheets of conn/roster */
};

#define FIGURES_LABELS_MAX 3

struct figures_sample {
	const char *suffix; /* of the family's name */
	struct {
		const char *key, *value;
	} label[FIGURES_LABELS_MAX];
	size_t labels;
	uint64_t value;
	unsigned decimals; /* of value; 3: thousandths */
};

/* What takes the figures, family by family. */
struct figures_writer {
	void (*begin)(void *owner, const char *name, const char *type, const char *help);
	void (*sample)(void *owner, const char *name, const struct figures_sample *sample);
	void (*end)(void *owner); /* of the family */
};

/* The numbers are those of now, each for itself: two of them may be some requests apart. */
void figures_write(const struct figures *f, const struct figures_writer *writer, void *owner);

#endif
