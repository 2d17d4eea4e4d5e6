/* SPDX-License-Identifier: ISC */
#include "process/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/listen.h"
#include "sys/confined.h"
#include "sys/log.h"
#include "sys/net.h"

/* A listening address, with a socket of its own for each worker (one for all on a Unix path). */
struct bind_address {
	struct bind_address *next;
	struct net_addr wanted; /* as configured: the port may be 0 */
	struct net_addr bound;
	int *fd;
	size_t count;
	size_t kept;			/* sockets of fd[] that the configuration in force uses */
	struct config_section *section; /* of the newest configuration; NULL: not in it */
	char *given;   /* the name of the section that this socket was opened for, by others; NULL:
			  it was opened by us */
	bool borrowed; /* another process may go on with it, and needs its path */
};

static bool is_given(const struct bind_address *a, const struct config_section *section)
{
	return a->given && !strcmp(a->given, section->service.name);
}

bool bind_has_given(struct bind_address *const *list, const struct config_section *section)
{
	for (const struct bind_address *a = *list; a; a = a->next)
		if (is_given(a, section))
			return true;
	return false;
}

static void free_address(struct bind_address *a)
{
	for (size_t i = 0; i < a->count; i++)
		net_close(a->fd[i], false);
	if (net_is_unix(&a->bound) && a->count != 0 && !a->given && !a->borrowed)
		confined_unlink(NULL, a->bound.u.un.sun_path);
	free(a->given);
	free(a->fd);
	free(a);
}

/* Adds an address of one socket that others have opened; given: the section's name, or NULL. */
static int add(struct bind_address **list, int fd, const char *given)
{
	struct bind_address *a = calloc(1, sizeof *a);
	int rc = -ENOMEM;

	if (!a)
		return rc;
	a->given = given ? strdup(given) : NULL;
	a->fd = malloc(sizeof *a->fd);
	if ((a->given || !given) && a->fd)
		rc = net_take_listener(fd, &a->bound);
	if (rc != 0) {
		free_address(a);
		return rc;
	}
	a->wanted = a->bound;
	if (net_is_unix(&a->wanted)) /* whose name is shorter than a configured one, which has the
					whole struct */
		a->wanted.len = sizeof a->wanted.u.un;
	a->fd[0] = fd;
	a->count = a->kept = 1;
	a->next = *list;
	*list = a;
	return 0;
}

int bind_give(struct bind_address **list, const struct config_section *section, int fd)
{
	return add(list, fd, section->service.name);
}

void bind_each(struct bind_address *const *list, void (*say)(void *to, int fd, const char *given),
	       void *to)
{
	for (const struct bind_address *a = *list; a; a = a->next)
		for (size_t i = 0; i < a->count; i++)
			say(to, a->fd[i], a->given);
}

int bind_inherit(struct bind_address **list, int fd, const char *given)
{
	int rc = add(list, fd, given);
	struct bind_address *a = *list, *same;
	int *grown;

	if (rc != 0 || given)
		return rc;
	a->borrowed = true;
	for (same = a->next; same && (same->given || !net_equal(&same->bound, &a->bound));)
		same = same->next;
	if (!same)
		return 0;
	grown = realloc(same->fd, (same->count + 1) * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	same->fd = grown;
	same->fd[same->count++] = fd;
	same->kept = same->count;
	*list = a->next;
	a->count = 0;
	free_address(a);
	return 0;
}

void bind_settle(struct bind_address **list)
{
	for (struct bind_address *a = *list; a; a = a->next)
		a->borrowed = false;
}

/* Whether the section has sockets of others, which then are all that it has. */
static bool take_given(struct bind_address *const *list, struct config_section *section)
{
	bool found = false;

	for (struct bind_address *a = *list; a; a = a->next)
		if (is_given(a, section)) {
			a->section = section;
			found = true;
		}
	return found;
}

static struct bind_address *find(struct bind_address **list, const struct net_addr *wanted)
{
	for (struct bind_address *a = *list; a; a = a->next)
		if (!a->section && !a->given && net_equal(&a->wanted, wanted))
			return a;
	return NULL;
}

static bool is_wanted(const struct config *config, const struct net_addr *addr)
{
	for (size_t i = 0; i < config->count; i++)
		for (size_t j = 0; j < config->section[i]->accept.count; j++)
			if (net_equal(addr, &config->section[i]->accept.addr[j]))
				return true;
	return false;
}

/*
 * Whether an address of ours is in the way that the configuration gives up, as 127.0.0.1 is where
 * 0.0.0.0 is to take its place. It has to stay open until the new one serves.
 */
static bool is_in_the_way_of(struct bind_address *const *list, const struct config *config,
			     const struct bind_address *wanted)
{
	for (const struct bind_address *a = *list; a; a = a->next)
		if (a != wanted && !a->given && a->count != 0 &&
		    net_same_port(&a->bound, &wanted->wanted) && !is_wanted(config, &a->wanted))
			return true;
	return false;
}

/* The first one of an address; its descriptor or -errno. */
static int listen_first(struct bind_address *const *list, const struct config *config,
			const struct bind_address *a)
{
	const struct net_options *options = a->section->service.options;
	int fd = net_listen(&a->wanted, options, !net_is_unix(&a->wanted), false);

	if (fd == -EADDRINUSE && is_in_the_way_of(list, config, a))
		return net_listen(&a->wanted, options, true, true);
	return fd;
}

/* Binds further sockets up to `count`, or one in all on a Unix path; 0 or -errno. */
static int extend(struct bind_address *const *list, const struct config *config,
		  struct bind_address *a, size_t count)
{
	int *grown;

	if (a->count >= count || (net_is_unix(&a->wanted) && a->count == 1))
		return 0;
	grown = realloc(a->fd, count * sizeof *grown);
	if (!grown)
		return -ENOMEM;
	a->fd = grown;
	while (a->count < count) {
		bool first = a->count == 0;
		int fd = first ? listen_first(list, config, a)
			       : net_listen(&a->bound, a->section->service.options,
					    !net_is_unix(&a->wanted), true);

		if (fd < 0)
			return fd;
		a->fd[a->count++] = fd;
		if (first)
			net_local(fd, &a->bound);
		if (net_is_unix(&a->wanted))
			break;
	}
	return 0;
}

/* 0 or -errno. Where others may write to its folder, the path can be another file's by now. */
static int own_path(const char *path, uid_t uid, gid_t gid)
{
	int fd = confined_open(NULL, path, O_PATH | O_NOFOLLOW, 0), rc = 0;
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode) || st.st_nlink != 1)
		rc = -EEXIST;
	else if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) != 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* Gives a Unix socket to whom the section's setuid and setgid say, if they do. */
static void own(const struct bind_address *a)
{
	const struct config_section *s = a->section;
	const char *path = a->wanted.u.un.sun_path;
	int rc;

	if (!net_is_unix(&a->wanted) || (s->uid == 0 && s->gid == 0))
		return;
	rc = own_path(path, s->uid != 0 ? s->uid : (uid_t)-1, s->gid != 0 ? s->gid : (gid_t)-1);
	if (rc == 0)
		log_main(LOG_DEBUG, "Socket chown succeeded: %s, UID=%u, GID=%u", path, s->uid,
			 s->gid);
	else
		log_main(LOG_ERR, "Socket chown failed: %s, UID=%u, GID=%u: %s", path, s->uid,
			 s->gid, confined_why(rc));
}

/* Finds or adds the address, with a socket for each worker; NULL with -errno in *error. */
static struct bind_address *get(struct bind_address **list, const struct config *config,
				struct config_section *section, const struct net_addr *addr,
				size_t workers, int *error)
{
	struct bind_address *a = find(list, addr);

	if (!a) {
		a = calloc(1, sizeof *a);
		if (!a) {
			*error = -ENOMEM;
			return NULL;
		}
		a->wanted = *addr;
		a->next = *list;
		*list = a;
	}
	a->section = section;
	*error = extend(list, config, a, workers);
	if (*error == 0) {
		own(a);
		return a;
	}
	a->section = NULL;
	return NULL;
}

/*
 * One bound address of a section is enough, as for stock: where `::` takes IPv4, too
 * (net.ipv6.bindv6only), 0.0.0.0 cannot be bound beside it.
 */
static bool bind_section(struct bind_address **list, const struct config *config,
			 struct config_section *section, size_t workers)
{
	size_t bound = 0;
	char text[NET_TEXT_MAX];

	if (section->service.program_calls)
		log_main(LOG_DEBUG, "Skipped exec+connect service [%s]", section->service.name);
	if (take_given(list, section))
		return true;
	for (size_t i = 0; i < section->accept.count; i++) {
		const struct net_addr *addr = &section->accept.addr[i];
		int error;
		struct bind_address *a = get(list, config, section, addr, workers, &error);

		if (a) {
			bound++;
			continue;
		}
		net_text(addr, text);
		log_main(bound != 0 ? LOG_NOTICE : LOG_ERR, "Binding service [%s] to %s: %s (%d)",
			 section->service.name, text, strerror(-error), -error);
	}
	if (bound == 0 && section->accept.count != 0)
		log_main(LOG_ERR, "Binding service [%s] failed", section->service.name);
	return bound != 0 || section->accept.count == 0;
}

static void tell(const struct bind_address *a)
{
	char text[NET_TEXT_MAX];

	net_text(&a->bound, text);
	log_main(LOG_INFO, "Service [%s] (FD=%d) bound to %s", a->section->service.name, a->fd[0],
		 text);
}

void bind_tell(struct bind_address *const *list, const struct config *config)
{
	for (size_t i = 0; i < config->count; i++)
		for (size_t n = 0; n < config->section[i]->accept.count; n++)
			for (const struct bind_address *a = *list; a; a = a->next)
				if (a->section == config->section[i] && (n == 0 || !a->given) &&
				    (a->given ||
				     net_equal(&a->wanted, &config->section[i]->accept.addr[n])))
					tell(a);
}

static void drop_unused(struct bind_address **list, bool all)
{
	struct bind_address **at = list;

	while (*at) {
		struct bind_address *a = *at;

		a->kept = a->count;
		if (a->section || (a->given && !all)) { /* nobody could open those again */
			at = &a->next;
			continue;
		}
		*at = a->next;
		free_address(a);
	}
}

void bind_drop_unused(struct bind_address **list)
{
	drop_unused(list, false);
}

void bind_close(struct bind_address **list)
{
	for (struct bind_address *a = *list; a; a = a->next)
		a->section = NULL;
	drop_unused(list, true);
}

void bind_restore(struct bind_address **list, struct config *config)
{
	for (struct bind_address *a = *list; a; a = a->next) {
		a->section = NULL;
		if (a->kept == 0) /* bound only for the configuration that was refused */
			continue;
		while (a->count > a->kept)
			net_close(a->fd[--a->count], false);
		for (size_t i = 0; i < config->count; i++)
			for (size_t j = 0; j < config->section[i]->accept.count; j++)
				if (a->given ? is_given(a, config->section[i])
					     : net_equal(&a->wanted,
							 &config->section[i]->accept.addr[j]))
					a->section = config->section[i];
		if (a->section && !a->given)
			own(a);
	}
	bind_drop_unused(list);
}

bool bind_all(struct bind_address **list, struct config *config, size_t workers)
{
	for (struct bind_address *a = *list; a; a = a->next)
		a->section = NULL;
	for (size_t i = 0; i < config->count; i++)
		if (!bind_section(list, config, config->section[i], workers))
			return false;
	return true;
}

size_t bind_take(struct bind_address **list, size_t workers, struct worker_socket *sockets)
{
	size_t n = 0;

	for (struct bind_address *a = *list; a; a = a->next) {
		bool shared = a->count < workers;

		for (size_t i = 0; i < a->count; i++) {
			size_t worker = shared ? LISTEN_SHARED : i % workers;

			if (a->section)
				sockets[n++] = (struct worker_socket){a->fd[i], a->section, worker};
			else
				net_close(a->fd[i], false);
		}
		a->count = 0;
	}
	return n;
}

void bind_let_go(struct bind_address **list)
{
	for (struct bind_address *a = *list; a; a = a->next)
		while (a->count != 0)
			net_close(a->fd[--a->count], false);
}

size_t bind_count(struct bind_address *const *list)
{
	size_t n = 0;

	for (const struct bind_address *a = *list; a; a = a->next)
		n += a->count;
	return n;
}
