/* SPDX-License-Identifier: ISC */
/* A function looks at a section that has all of its lines. */
static int finish(SERVICE_OPTIONS *service)
{
	if (service->lines == 0)
		return 1;
	if (context_init(service))
		return 1;
	return 0;
}
