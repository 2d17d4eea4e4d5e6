/* SPDX-License-Identifier: ISC */
#include "process/launch.h"

#include <stdlib.h>
#include <string.h>

#include "sys/log.h"
#include "sys/program.h"

static void begin(struct launch *l)
{
	const struct program *program = &l->service->program;
	struct end end;
	pid_t pid;
	int fd = program_start(program, NULL, 0, &pid);

	if (fd < 0) {
		log_main(LOG_ERR, "exec: %s: %s (%d)", program->path, strerror(-fd), -fd);
		launch_ended(l);
		return;
	}
	log_main(LOG_INFO, "Local mode child started (PID=%d)", (int)pid);
	end = end_of(fd);
	end.program = true;
	if (!conn_open(l->pool, l->service, &end, NULL))
		launch_ended(l);
}

static void on_retry(uv_timer_t *timer)
{
	begin(timer->data);
}

struct launch *launch_start(struct conn_pool *pool, struct conn_service *service)
{
	struct launch *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	l->pool = pool;
	l->service = service;
	uv_timer_init(pool->loop, &l->retry);
	l->retry.data = l;
	log_main(LOG_DEBUG, "Starting exec+connect service [%s]", service->name);
	begin(l);
	return l;
}

void launch_ended(struct launch *l)
{
	if (l->service->retry_ms < 0)
		return;
	log_main(LOG_INFO, "Retrying an exec+connect section");
	uv_timer_start(&l->retry, on_retry, (uint64_t)l->service->retry_ms, 0);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void launch_stop(struct launch *l)
{
	uv_close((uv_handle_t *)&l->retry, on_closed);
}
