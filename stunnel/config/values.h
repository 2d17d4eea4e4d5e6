/* SPDX-License-Identifier: ISC */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"
#include "config/report.h"
#include "conn/admit.h"
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
	const char *error; /* what is wrong with any other value */
	const char *taken; /* values_unbuilt(): values, with | between, of what we do anyway */
};

/* The values of an option that may stand several times, and the line of each. */
struct values_list {
	const char **item;
	struct report_line **line;
	size_t count;
};

/* What a setter is called with, beside the place that it sets. */
struct values_input {
	const char *value;
	const char *option; /* the option's name, as the table has it */
	const struct values_bounds *bounds;
	struct report_line *line;
	bool inherited;	     /* what the member holds stands in front of the sections */
	struct arena *arena; /* for what lives as long as the configuration */
	int *facility;	     /* of syslog; NULL inside a section */
	struct span *word;   /* set to the word of a list that is at fault */
};

/*
 * A setter writes a value to the member that an option sets, and returns NULL; or it returns what
 * is wrong with the value, a static text, and leaves the member as it was. SETTER_slot is the type
 * of the member: a row of the table with a member of another type does not compile.
 */
typedef const char *values_setter(const struct values_input *in, void *slot);

#define VALUES_SETTER(setter, type) \
	typedef type setter##_slot; \
	values_setter setter

/* For options whose setter is not values_flag(). */
extern const struct values_choice values_yes_no[];
#define VALUES_YES_NO_ERROR "The argument needs to be either 'yes' or 'no'"

VALUES_SETTER(values_flag, bool); /* yes and no, unless bounds have other choices */
VALUES_SETTER(values_integer, int);
VALUES_SETTER(values_unsigned, unsigned); /* enums as well, which are compatible with it */

/* Texts; setters differ in what an empty value means, as of an unset variable in a template. */
VALUES_SETTER(values_text, const char *);	  /* refused */
VALUES_SETTER(values_any_text, const char *);	  /* stands for itself */
VALUES_SETTER(values_text_or_none, const char *); /* unsets the text, as in stock */
VALUES_SETTER(values_text_or_undo, const char *); /* unsets a text that is set; else refused */

/* Names of files, likewise; $CREDENTIALS_DIRECTORY/ may stand in front. */
VALUES_SETTER(values_file, const char *);
VALUES_SETTER(values_file_or_none, const char *);
VALUES_SETTER(values_file_or_undo, const char *);

/* Lists: each line adds a value. A section begins with those of the defaults. */
VALUES_SETTER(values_item, struct values_list);
VALUES_SETTER(values_name, struct tls_names);
VALUES_SETTER(values_files, struct tls_names); /* a section's own are instead of the defaults */

VALUES_SETTER(values_blocks, struct ip_blocks *); /* of addresses; each line adds some */

VALUES_SETTER(values_per_ip, struct admit_per_ip); /* NUMBER[, BITS4[, BITS6]] */

VALUES_SETTER(values_level, int); /* LOG_...; `FACILITY.` in front of it sets in->facility */
VALUES_SETTER(values_user, unsigned);
VALUES_SETTER(values_group, unsigned);
VALUES_SETTER(values_version, int);		       /* of TLS */
VALUES_SETTER(values_versions, struct tls_settings);   /* sets both bounds */
VALUES_SETTER(values_tls_option, struct tls_settings); /* NAME sets the option, -NAME clears it */
VALUES_SETTER(values_ocsp_flag, unsigned);	       /* adds a bit of tls_ocsp_flag() */
VALUES_SETTER(values_ocsp_url, const char *);
VALUES_SETTER(values_variable, size_t); /* sets, or removes, the environment's at once */
VALUES_SETTER(values_ticket_secret, struct tls_tickets_secret);
VALUES_SETTER(values_socket, struct net_options);
VALUES_SETTER(values_policy, struct service);	/* service_option(); in->word may be set */
VALUES_SETTER(values_send_proxy, const char *); /* yes: protocol = proxy; no undoes that */

/* Bits of enum tls_verify_bit: those of a level of stunnel 4, or a single one. */
VALUES_SETTER(values_verify, unsigned);
VALUES_SETTER(values_require, unsigned);
VALUES_SETTER(values_verify_chain, unsigned);
VALUES_SETTER(values_verify_peer, unsigned);

/* Setters without a member: the value is checked, and nothing is set. */
values_setter values_include;  /* a path, which table_apply() gives to its caller */
values_setter values_idle;     /* within bounds, or any text if there are none */
values_setter values_provider; /* of OpenSSL: loaded at once */
values_setter values_provider_parameter;
values_setter values_fips;
values_setter values_unbuilt; /* refuses all but bounds->taken */

#endif
