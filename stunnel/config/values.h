/* SPDX-License-Identifier: ISC */
#ifndef VALUES_H
#define VALUES_H

#include <stdbool.h>

#include "config/conf.h"

/*
 * Values of options, one function a type: sets the slot and returns NULL, or returns what is wrong
 * with the value, a static text, and leaves the slot as it was.
 */

/* A name that stands for a number; a list of them ends with an empty one. */
struct values_choice {
	const char *name;
	int value;
};

const char *values_flag(const char *value, bool *slot);

/* error: what is said of no number, or of one beyond the bounds; NULL: something general. */
const char *values_integer(const char *value, int min, int max, const char *error, int *slot);

/* Any case. */
const char *values_choice(const char *value, const struct values_choice *choice, const char *error,
			  int *slot);

/* The copy is kept with the configuration; an empty value is NULL. */
const char *values_text(struct config *config, const char *value, const char **slot);

/* One more for the list, whose items a section may share with the defaults. */
const char *values_add(struct config *config, const char *value, struct conf_line *line,
		       struct conf_list *list);

/* A log level, behind `FACILITY.` where facility is not NULL. */
const char *values_level(const char *value, int *facility, int *slot);

/* A name or a number. */
const char *values_user(const char *value, unsigned *slot);
const char *values_group(const char *value, unsigned *slot);

/* Either slot may be NULL. */
const char *values_versions(const char *value, int *min, int *max);

/* -NAME goes into tls_clear. */
const char *values_tls_option(const char *value, struct conf_options *options);

const char *values_rule(const char *name, const char *value, struct rewrite *rewrite);

/* yes: proxy; no undoes that. */
const char *values_send_proxy(const char *value, const char **protocol);

const char *values_tlvs(const char *value, struct proxy *proxy);

/* A level of stunnel 4 as enum tls_verify_bit. */
const char *values_verify(const char *value, unsigned *bits);

/* yes sets some bits, no clears some. */
const char *values_verify_bit(const char *value, unsigned set, unsigned clear, unsigned *bits);

#endif
