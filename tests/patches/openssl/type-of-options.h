/* SPDX-License-Identifier: ISC */
struct service_options_struct {
	char *name;
	long ssl_options_set;
	long ssl_options_clear;
	int depth;
};
