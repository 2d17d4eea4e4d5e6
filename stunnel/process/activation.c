/* SPDX-License-Identifier: ISC */
#include "process/activation.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sys/log.h"

#define FIRST_FD 3

/* How many sockets are meant for this process, and not for one that has started it. */
static long sockets(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

	if (!pid || !count || strtol(pid, NULL, 10) != getpid())
		return 0;
	return strtol(count, NULL, 10);
}

static const struct config_section *by_name(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->count; i++)
		if (config->section[i]->accept.count != 0 &&
		    !strcmp(config->section[i]->service.name, name))
			return config->section[i];
	return NULL;
}

static const struct config_section *next_free(struct bind_address *const *list,
					      const struct config *config)
{
	for (size_t i = 0; i < config->count; i++)
		if (config->section[i]->accept.count != 0 &&
		    !bind_has_given(list, config->section[i]))
			return config->section[i];
	return NULL;
}

static bool adopt(struct bind_address **list, const struct config *config, long count, char *names)
{
	for (long i = 0; i < count; i++) {
		char *name = names ? strsep(&names, ":") : NULL;
		const struct config_section *s = name ? by_name(config, name) : NULL;
		int rc;

		if (!s)
			s = next_free(list, config);
		if (!s) {
			log_main(LOG_ERR,
				 "Too many listening file descriptors received from systemd, "
				 "got %ld",
				 count);
			return false;
		}
		rc = bind_give(list, s, FIRST_FD + (int)i);
		if (rc != 0) {
			log_main(LOG_ERR, "Service [%s]: descriptor %ld from systemd: %s (%d)",
				 s->service.name, FIRST_FD + i, strerror(-rc), -rc);
			return false;
		}
	}
	return true;
}

bool activation_adopt(struct bind_address **list, const struct config *config)
{
	long count = sockets();
	const char *told = getenv("LISTEN_FDNAMES");
	char *names = told ? strdup(told) : NULL;
	bool ok = adopt(list, config, count, names);

	free(names);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return ok;
}
