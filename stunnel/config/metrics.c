/* SPDX-License-Identifier: ISC */
#include "config/metrics.h"

#include <string.h>

#include "config/table.h"
#include "metrics/server.h"

static void refuse(const struct config *config, struct report *report, const char *option,
		   const char *why)
{
	const struct report_place place = {.line = table_line(&config->defaults, option),
					   .service = "Global options"};

	report_add(report, REPORT_ERROR, &place, "%s", why);
}

static void allow_loopback(struct ip_blocks *allowed)
{
	ip_block_parse(SPAN("127.0.0.0/8"), &allowed->block[0]);
	ip_block_parse(SPAN("::1"), &allowed->block[1]);
	allowed->count = 2;
}

/* A port alone is one of the loopback: who wants others to see the figures has to name an address.
 */
static const char *listener(struct config *config)
{
	const char *text = config->globals.metrics;

	return strpbrk(text, ":/") ? text : arena_format(&config->arena, "127.0.0.1:%s", text);
}

void metrics_make(struct config *config, struct report *report)
{
	struct config_globals *g = &config->globals;
	struct config *metrics = arena_alloc(&config->arena, sizeof *metrics);
	struct config_section *s = arena_alloc(&config->arena, sizeof *s);
	struct config_section **list = arena_alloc(&config->arena, sizeof(struct config_section *));
	const char **item = arena_alloc(&config->arena, sizeof *item);
	struct report_line **line = arena_alloc(&config->arena, sizeof(struct report_line *));

	if (!metrics || !s || !list || !item || !line)
		return;
	config->metrics = metrics;
	if (!g->metrics && g->metrics_allow)
		refuse(config, report, "metricsAllow", "metricsAllow is of no use without metrics");
	if (!g->metrics)
		return;
	if (!server_built())
		refuse(config, report, "metrics", "This program was built without libmicrohttpd");
	if (config->inetd)
		refuse(config, report, "metrics",
		       "metrics is for a daemon: in inetd mode there is one connection");
	if (!g->metrics_allow) {
		g->metrics_allow = arena_alloc(&config->arena, sizeof *g->metrics_allow);
		if (!g->metrics_allow)
			return;
		allow_loopback(g->metrics_allow);
	}
	*item = listener(config);
	*line = table_line(&config->defaults, "metrics");
	s->service.name = "metrics";
	s->title = "Global option metrics";
	s->service.options = config->defaults.service.options;
	s->accept_on = (struct values_list){item, line, 1};
	s->uid = g->uid;
	s->gid = g->gid;
	*list = s;
	metrics->section = list;
	metrics->count = 1;
}
