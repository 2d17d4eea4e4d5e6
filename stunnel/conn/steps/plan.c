/* SPDX-License-Identifier: ISC */
#include "conn/steps/plan.h"

#include "conn/steps/connect.h"
#include "conn/steps/first_head.h"
#include "conn/steps/look_up.h"
#include "conn/steps/open_back.h"
#include "conn/steps/proxy_in.h"
#include "conn/steps/proxy_out.h"
#include "conn/steps/tls_accept.h"
#include "conn/steps/transfer.h"

bool plan_http(const struct conn_service *service)
{
	return service->access || rewrite_active(&service->policy.rewrite);
}

void plan_compile(struct conn_service *service)
{
	const struct step **front = service->plan.front, **back = service->plan.back;

	*front++ = &proxy_in_step;
	*front++ = &tls_accept_step;
	if (plan_http(service))
		*front++ = &first_head_step;
	*front++ = &open_back_step;
	*front++ = &transfer_step;
	*front = NULL;

	if (service->target_names)
		*back++ = &look_up_step;
	*back++ = &connect_step;
	if (service->send_proxy)
		*back++ = &proxy_out_step;
	*back = NULL;
}
