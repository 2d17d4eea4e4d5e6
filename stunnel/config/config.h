/* SPDX-License-Identifier: ISC */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "config/arena.h"
#include "config/report.h"
#include "config/values.h"
#include "conn/service.h"
#include "sys/net.h"
#include "tls/ctx.h"

enum config_foreground {
	CONFIG_BACKGROUND = 0,
	CONFIG_FOREGROUND,	 /* and log to stderr as well */
	CONFIG_FOREGROUND_QUIET, /* no fork, but no log on stderr either */
};

/* Options of the process as a whole. */
struct config_globals {
	const char *chroot;
	const char *output;
	const char *pid;
	const char *service; /* the name that syslog shows */
	bool overwrite;	     /* open mode of output */
	bool syslog;
	enum config_foreground foreground;
	int facility;
	int workers;	     /* 0: one a core */
	int max_connections; /* of all sections together; 0: any number */
	unsigned uid, gid;   /* 0: stay */
};

/*
 * A section: what its options set, and what is made of them. An option's setter writes into the
 * struct that is run on, wherever there is one; what follows from several lines, or from the
 * system, is made when all of them are there. A section begins as a copy of the defaults.
 */
struct config_section {
	const char *title; /* "Service [NAME]" */
	bool broken;	   /* its header was refused: only its lines are looked at */
	struct conn_service service;
	struct tls_settings tls;
	struct values_list accept_on,
		connect_to; /* as written; addresses.c makes addresses of them */
	const char *sni, *protocol;
	const char *access_path, *access_format;
	bool session_resume;
	bool delay;		   /* names are not looked up at the load */
	struct net_addrs accept;   /* what to listen on */
	struct report_line **line; /* by row of the table: the option's last line, or NULL */
};

/* A whole configuration, checked, with keys and certificates read. Not changed after its load. */
struct config {
	struct config_globals globals;
	struct config_section defaults;
	struct config_section **section;
	size_t count;
	size_t out_cap; /* the largest output buffer that a section's HTTP machine needs */
	struct access_file *access; /* all of them */
	struct arena arena;	    /* owns every string, list and block */
};

/* One more section, as the defaults have it; NULL without memory, which the arena remembers. */
struct config_section *config_section_new(struct config *config, const char *name);

/* The first section of that name, or NULL. */
struct config_section *config_section_named(struct config *config, const char *name, size_t len);

/*
 * A path of the configuration, which counts from the chroot directory, as it is called outside. It
 * lives as long as the configuration; NULL for NULL.
 */
const char *config_outside(struct config *config, const char *path);

void config_free(struct config *config);

#endif
