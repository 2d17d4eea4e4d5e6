/* SPDX-License-Identifier: ISC */
#include "conn/steps/plan.h"

#include <assert.h>

#include "conn/steps/ask_libwrap.h"
#include "conn/steps/connect.h"
#include "conn/steps/destination.h"
#include "conn/steps/first_head.h"
#include "conn/steps/goal.h"
#include "conn/steps/ident.h"
#include "conn/steps/look_up.h"
#include "conn/steps/negotiate.h"
#include "conn/steps/open_back.h"
#include "conn/steps/proxy_in.h"
#include "conn/steps/proxy_out.h"
#include "conn/steps/tls_accept.h"
#include "conn/steps/tls_connect.h"
#include "conn/steps/spawn.h"
#include "conn/steps/transfer.h"
#include "negotiate/negotiators.h"

static void add(struct step_plan *plan, const struct step *step)
{
	size_t n = 0;

	while (plan->step[n])
		n++;
	assert(n + 1 < STEP_PLAN_MAX); /* the last place is for NULL */
	plan->step[n] = step;
}

/* Whether somebody has to be heard in the phase. */
static bool negotiates(const struct conn_service *s, enum negotiation_phase phase)
{
	return s->protocol && negotiators_in(s->protocol, phase, &s->negotiation);
}

static void compile_front(struct conn_service *service)
{
	struct step_plan *plan = &service->plan;
	bool told = service->policy->accept_proxy != SERVICE_PROXY_NO;

	*plan = (struct step_plan){0};
	if (service->libwrap && !told)
		add(plan, &ask_libwrap_step);
	if (service->ident)
		add(plan, &ident_step);
	add(plan, &proxy_in_step);
	if (service->libwrap && told) /* the rules are about clients, not about proxies */
		add(plan, &ask_libwrap_step);
	if (!service->client) {
		if (negotiates(service, NEGOTIATION_EARLY))
			add(plan, &negotiate_early_step);
		if (negotiates(service, NEGOTIATION_GREETED)) {
			add(plan, &open_back_step);
			add(plan, &negotiate_greeted_step);
		}
		service->hears_first = plan->step[0] == &proxy_in_step && !plan->step[1];
		add(plan, &tls_accept_step);
		if (service->libwrap)
			add(plan, &ask_libwrap_again_step);
		if (negotiates(service, NEGOTIATION_ASKED))
			add(plan, &negotiate_asked_step);
	}
	if (service->needs.http)
		add(plan, &first_head_step);
	add(plan, &open_back_step);
	add(plan, &transfer_step);
}

/* Whether clients say where they want to be connected to. */
static bool is_asked(const struct conn_service *s)
{
	const struct negotiator *row = s->protocol ? negotiators_of(s->protocol, s->client) : NULL;

	return row && row->chooses;
}

/* How a back finds where to go; NULL: the route has addresses. */
static const struct step *way(const struct conn_service *service, const struct conn_route *route)
{
	bool own = route != &service->route;

	if (!own && is_asked(service))
		return &goal_step;
	if (!own && service->transparent & CONN_TO_DESTINATION)
		return &destination_step;
	return route->names ? &look_up_step : NULL;
}

static void compile_back(const struct conn_service *service, struct conn_route *route,
			 bool send_proxy)
{
	const struct step *first = way(service, route);
	struct step_plan *plan = &route->plan;

	*plan = (struct step_plan){0};
	if (route == &service->route && service->program.path && !service->program_calls) {
		add(plan, &spawn_step);
	} else {
		if (first)
			add(plan, first);
		add(plan, &connect_step);
	}
	if (send_proxy)
		add(plan, service->client ? &proxy_out_alone_step : &proxy_out_step);
	if (service->client) {
		if (negotiates(service, NEGOTIATION_PLAIN))
			add(plan, &negotiate_plain_step);
		add(plan, &tls_connect_step);
		if (negotiates(service, NEGOTIATION_INSIDE))
			add(plan, &negotiate_inside_step);
	}
}

static bool has_raw(const struct conn_service *service)
{
	for (size_t i = 0; i < service->alpn_count; i++)
		if (service->alpn[i].raw)
			return true;
	return false;
}

/* No ACME client takes a PROXY header. */
static void compile_alpn(struct conn_service *service)
{
	service->passes = has_raw(service);
	for (size_t i = 0; i < service->sni_count; i++)
		service->passes |= has_raw(service->sni[i].service);
	for (size_t i = 0; i < service->alpn_count; i++)
		compile_back(service, &service->alpn[i].route,
			     service->send_proxy && !service->alpn[i].raw);
}

void plan_compile(struct conn_service *service)
{
	compile_front(service);
	compile_back(service, &service->route, service->send_proxy);
	if (service->redirects) /* as stock, without a PROXY header */
		compile_back(service, &service->redirect, false);
	compile_alpn(service);
}
