/* SPDX-License-Identifier: ISC */
#include "conn/steps/plan.h"

#include <assert.h>

#include "conn/steps/connect.h"
#include "conn/steps/first_head.h"
#include "conn/steps/look_up.h"
#include "conn/steps/open_back.h"
#include "conn/steps/proxy_in.h"
#include "conn/steps/proxy_out.h"
#include "conn/steps/tls_accept.h"
#include "conn/steps/transfer.h"

static void add(const struct step *plan[static STEP_PLAN_MAX], const struct step *step)
{
	size_t n = 0;

	while (plan[n])
		n++;
	assert(n + 1 < STEP_PLAN_MAX); /* the last place is for NULL */
	plan[n] = step;
}

void plan_compile(struct conn_service *service)
{
	struct step_plan *plan = &service->plan;

	*plan = (struct step_plan){0};
	add(plan->front, &proxy_in_step);
	add(plan->front, &tls_accept_step);
	if (conn_service_http(service))
		add(plan->front, &first_head_step);
	add(plan->front, &open_back_step);
	add(plan->front, &transfer_step);

	if (service->target_names)
		add(plan->back, &look_up_step);
	add(plan->back, &connect_step);
	if (service->send_proxy)
		add(plan->back, &proxy_out_step);
}
