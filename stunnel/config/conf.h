/* SPDX-License-Identifier: ISC */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/arena.h"
#include "conn/conn.h"
#include "sys/net.h"
#include "core/rewrite.h"

/* A line of the file. */
struct conf_line {
	const char *text; /* FILE:LINE: "LINE" */
	size_t order;	  /* among all lines that were read, also of included files */
	bool refused;	  /* it was reported: what it should have set is not missed */
};

/* Values of one option that may stand several times, and where each came from. */
struct conf_list {
	const char **item;
	struct conf_line **line;
	size_t count;
};

enum conf_foreground {
	CONF_BACKGROUND = 0,
	CONF_FOREGROUND,       /* and log to stderr as well */
	CONF_FOREGROUND_QUIET, /* no fork, but no log on stderr either */
};

/* Options of the process as a whole. */
struct conf_globals {
	const char *chroot;
	const char *output;
	const char *pid;
	const char *service; /* the name that syslog shows */
	int overwrite;	     /* open mode of output */
	bool syslog;
	int foreground; /* enum conf_foreground */
	int facility;
	int workers;	     /* 0: one a core */
	int max_connections; /* of all sections together; 0: any number */
	unsigned uid, gid;   /* 0: stay */
};

#define CONF_ROWS_MAX 128

/* Options of a service as they stand in the file; a section begins as a copy of the defaults. */
struct conf_options {
	struct conf_list accept, connect, trusted;
	const char *cert, *key;
	const char *ciphers, *ciphersuites, *curves, *alpn;
	const char *sni, *protocol;
	const char *access, *access_format;
	struct proxy proxy;
	int accept_proxy; /* enum conn_accept_proxy */
	struct conf_list proxy_peers;
	unsigned verify; /* enum tls_verify_bit */
	const char *ca_file, *ca_path, *crl_file, *crl_path;
	struct conf_list check_host, check_email, check_ip;
	int version_min, version_max;
	int session_seconds;
	bool session_resume;
	bool delay;
	uint64_t tls_set, tls_clear;
	int log_level;
	int failover; /* enum conn_failover */
	struct conn_timeouts timeout;
	struct net_options sockets;
	struct h1_limits limits;
	int keep_client;     /* of limits */
	int max_connections; /* 0: any number; not inherited from the defaults */
	struct rewrite rewrite;
	struct conf_line *line[CONF_ROWS_MAX]; /* by option: the last one; or NULL */
};

struct conf_section {
	const char *name;
	const char *title; /* "Service [NAME]" */
	bool broken;	   /* its header was refused: only its lines are looked at */
	struct conf_options options;
	struct net_addrs accept;
	struct conn_service service;
};

/* A whole configuration, checked, with keys and certificates read. Not changed after its load. */
struct config {
	struct conf_globals globals;
	struct conf_options defaults;
	struct conf_section **section;
	size_t count;
	size_t out_cap; /* the largest output buffer that a section's HTTP machine needs */
	struct access_file *access; /* all of them */
	struct arena arena;	    /* owns every string, list and block */
};

enum conf_use {
	CONF_START, /* to serve with it */
	CONF_TEST,  /* to be told what is wrong: what can never work is an error, too */
};

/*
 * Reads and checks a file, or fd if that is not negative. NULL if it cannot be used. What is wrong
 * is logged, all of it: file, line, its text and the reason where a line is at fault; then the
 * verdict.
 */
struct config *conf_load(const char *path, int fd, enum conf_use use);
void conf_free(struct config *config);

/*
 * A path of the configuration, which counts from the chroot directory, as it is called outside. It
 * lives as long as the configuration; NULL for NULL.
 */
const char *conf_outside(struct config *config, const char *path);

#endif
