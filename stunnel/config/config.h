/* SPDX-License-Identifier: ISC */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "config/report.h"
#include "config/values.h"
#include "conn/service.h"
#include "sys/net.h"
#include "tls/ctx.h"
#include "tls/trial.h"

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
	const char *service; /* the name in front of lines in syslog */
	bool overwrite;	     /* `output` is truncated when it is opened */
	bool syslog;
	unsigned log_format; /* enum log_format */
	enum config_foreground foreground;
	int facility;
	int ticket_seconds;  /* after which session tickets get a new key; 0: never */
	int workers;	     /* how many; 0: one a core */
	int drain_seconds;   /* for what is under way at an end or a reload; 0: as stock */
	int old_generations; /* that may drain after reloads; 0: any number */
	size_t variables;    /* of the environment that the file has set or removed */
	const char *metrics; /* where the figures are served; NULL: nowhere */
	struct ip_blocks *metrics_allow; /* to whom */
	int max_connections;		 /* of all sections together; 0: any number */
	unsigned uid, gid;		 /* that workers change to; 0: they keep the master's */
};

/* How a section follows the files of its certificates and keys; process/renewal keeps it. */
struct config_renewal {
	int seconds;		      /* between two looks; 0: never */
	uint64_t known;		      /* tls_renewal_mark() of what is served, or was refused */
	uint64_t seen;		      /* of the last look */
	uint64_t staple, staple_seen; /* so of tls_renewal_staple_mark() */
	uint64_t look_at, warn_at;    /* board_now() of the next look, and warning of an end */
	uint64_t number;	      /* of the last renewal */
	bool untold;		      /* a worker, or the OCSP fetcher, has not got it yet */
};

/* What of a service is large, and mostly as in other sections, which share it behind their lines.
 */
struct config_draft {
	struct service policy;
	struct net_options options;
};

/*
 * A section: what its options set, and what is made of that. An option's setter writes into the
 * struct that connections or TLS run on, wherever there is one; what follows from several lines, or
 * from the system, is made behind the last line. A section begins as a copy of the defaults.
 */
struct config_section {
	const char *title; /* "Service [NAME]" */
	bool broken; /* its [NAME] was refused: its lines are checked, but no service is made */
	struct conn_service service;
	struct config_draft *draft; /* what its lines write of that; NULL: it is complete */
	struct tls_settings tls;
	/* As written; addresses.c makes addresses of them. */
	struct values_list accept_on, connect_to, redirect_to, alpn_connect;
	struct values_list alpn_target; /* those of alpn_connect, one for each of service.alpn */
	const char *local, *sessiond;
	const char *sni, *protocol;
	struct values_list protocol_headers;
	const char *program_words; /* of execArgs */
	const char *access_path, *access_format;
	bool renegotiation;
	struct config_renewal renewal;
	bool ocsp_require;	   /* without a conclusive answer the peer is turned away */
	bool delay;		   /* names are not looked up at the load */
	struct net_addrs accept;   /* what to listen on */
	unsigned uid, gid;	   /* who owns its Unix socket; 0: as it is */
	struct report_line **line; /* by row of the table: the option's last line, or NULL */
};

/*
 * A whole configuration, checked, with keys and certificates read. Behind its load only these
 * change, of sections with certReload, and what is noted of that.
 */
struct config {
	struct config_globals globals;
	struct config_section defaults;
	struct config_draft initial, draft; /* of the defaults, and of the open section */
	struct config_section **section;
	size_t count;
	bool inetd;	/* no section: the only service, section[0], has our standard streams */
	size_t out_cap; /* the largest output buffer that a section's HTTP machine needs */
	/* Its only section, if there is one, is what `metrics` says. */
	struct config *metrics;
	struct tls_trial_passed tried; /* by the load */
	void *turns;		       /* counters of the routes, mapped; NULL: not yet */
	struct access_file *access;    /* the list of all destinations of access logs */
	struct arena arena;	       /* owns every string, list and block */
};

/* Adds a section, a copy of the defaults; NULL without memory, which the arena remembers. */
struct config_section *config_section_new(struct config *config, const char *name);

/* Behind its last line, and before the next section is added. */
void config_section_complete(struct config *config, struct config_section *section);

/* Has the section's service use a draft, which the section's lines write. */
void config_section_draft(struct config_section *section, struct config_draft *draft);

/* The first section of that name, len bytes; or NULL. */
struct config_section *config_section_named(struct config *config, const char *name, size_t len);

/*
 * Whether a word of log_file_standard() stands for something: in the background both are closed,
 * and in inetd mode standard output is the client's.
 */
bool config_has_standard(const struct config *config, const char *word);
#define CONFIG_NO_STANDARD "%s is not open here: that needs foreground = yes or quiet"

/*
 * How a path of the configuration, which is one inside `chroot`, is called outside. The text lives
 * as long as the configuration; NULL for NULL, or without memory.
 */
const char *config_outside(struct config *config, const char *path);

/* Gives each route its counter, which workers share that are forked later; false: no memory. */
bool config_count_turns(struct config *config);

/*
 * Frees what of the configuration is secret: contexts, with their certificates and keys, and keys
 * of tickets. No connection can be served any more.
 */
void config_drop_keys(struct config *config);

/* Frees all that the configuration owns, also OpenSSL's contexts, and *config; NULL: nothing. */
void config_free(struct config *config);

#endif
