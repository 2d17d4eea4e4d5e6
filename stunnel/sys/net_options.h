/* SPDX-License-Identifier: ISC */
#ifndef NET_OPTIONS_H
#define NET_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Options of sockets, as in `socket = C:OPTION=VALUE`. */

#define NET_OPTIONS_MAX 64 /* each option in each of the three classes has room */

enum net_class {
	NET_ACCEPT = 'a', /* listening */
	NET_LOCAL = 'l',  /* accepted */
	NET_REMOTE = 'r', /* connected */
};

/* The options of one service, copied by value; zeroed: none. */
struct net_options {
	size_t count;
	struct net_option {
		char class;
		unsigned char row; /* of the table in net_options.c */
		int value[2];
		char text[16];
	} option[NET_OPTIONS_MAX];
};

/* The options that are set unless the configuration says otherwise. */
void net_options_default(struct net_options *options);

/* Adds one, replacing an earlier one of the same class and name; false if it cannot be. */
bool net_options_add(struct net_options *options, const char *text);

/* The option of a class and a name; NULL if it is not among them. */
const struct net_option *net_options_find(const struct net_options *options, enum net_class class,
					  const char *name);

/* Prints stock's table: every option, what is set by default in each class, and the system's. */
void net_options_print(FILE *to);

/*
 * Sets those of a class on a socket of that address family; an error is logged at LOG_ERR and
 * returned. SO_LINGER is taken and not set: with its time close() would block all connections of a
 * worker, and whether an end is a reset is not for the socket to say.
 */
int net_options_set(const struct net_options *options, enum net_class class, int family, int fd);

#endif
