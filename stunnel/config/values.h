/* SPDX-License-Identifier: ISC */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"
#include "config/report.h"
#include "core/service.h"
#include "sys/net.h"
#include "tls/ctx.h"

/* A name that stands for a number; a list of them ends with an empty one. */
struct values_choice {
	const char *name;
	int value;
};

/* What an option takes: one of its choices, or a number from min to max if min < max, or either. */
struct values_bounds {
	const struct values_choice *choice;
	int min, max;
	const char *error; /* what is said of any other value */
	const char
		*taken; /* values_unbuilt(): those that ask for what we do anyway, with | between */
};

/* Values of one option that may stand several times, and where each came from. */
struct values_list {
	const char **item;
	struct report_line **line;
	size_t count;
};

/* What a setter is called with, beside the place that it sets. */
struct values_input {
	const char *value;
	const char *option; /* its name, as the table has it */
	const struct values_bounds *bounds;
	struct report_line *line;
	struct arena *arena; /* for what lives as long as the configuration */
	int *facility;	     /* of syslog; NULL inside a section */
	struct span *word;   /* set to the word of a list that is at fault */
};

/*
 * A setter takes a value to the place that an option sets, and returns NULL; or it returns what is
 * wrong with the value, a static text, and leaves the place as it was. SETTER_slot is the type of
 * what it sets: by that the table refuses, when it is compiled, a member of another type.
 */
typedef const char *values_setter(const struct values_input *in, void *slot);

#define VALUES_SETTER(setter, type) \
	typedef type setter##_slot; \
	values_setter setter

VALUES_SETTER(values_flag, bool); /* yes and no, unless the option has choices of its own */
VALUES_SETTER(values_integer, int);
VALUES_SETTER(values_unsigned, unsigned); /* enums as well: these are compatible */

/* Texts; they differ in what an empty value is, as of an unset variable in a template. */
VALUES_SETTER(values_text, const char *);	  /* refused */
VALUES_SETTER(values_text_or_none, const char *); /* the same as no line, as in stock */
VALUES_SETTER(values_text_or_undo, const char *); /* undoes a line before; else refused */

/* Each line adds one. A section begins with what the defaults have. */
VALUES_SETTER(values_item, struct values_list);
VALUES_SETTER(values_name, struct tls_names);

VALUES_SETTER(values_level, int); /* of the log, behind `FACILITY.` where that may stand */
VALUES_SETTER(values_user, unsigned);
VALUES_SETTER(values_group, unsigned);
VALUES_SETTER(values_version, int);		       /* of TLS */
VALUES_SETTER(values_versions, struct tls_settings);   /* both bounds */
VALUES_SETTER(values_tls_option, struct tls_settings); /* -NAME clears it */
VALUES_SETTER(values_socket, struct net_options);
VALUES_SETTER(values_policy, struct service);	/* by the option's name; in->word may be set */
VALUES_SETTER(values_send_proxy, const char *); /* yes: the protocol `proxy`; no undoes that */

/* enum tls_verify_bit: by a level of stunnel 4, and by options for one of the bits. */
VALUES_SETTER(values_verify, unsigned);
VALUES_SETTER(values_require, unsigned);
VALUES_SETTER(values_verify_chain, unsigned);
VALUES_SETTER(values_verify_peer, unsigned);

/* Without a slot: the value is looked at, and nothing is set. */
values_setter values_include; /* a path, which is the caller's to follow */
values_setter values_idle;    /* within bounds, or any text if there are none */
values_setter values_unbuilt; /* one of bounds->taken */

#endif
