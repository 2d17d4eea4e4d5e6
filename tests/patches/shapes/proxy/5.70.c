/* SPDX-License-Identifier: ISC */
/* A section has a function for the last phase. */
static void serve(CLI *one)
{
	if (one->opt->protocol_late && !one->redirected)
		one->opt->protocol_late(one);
	transfer(one);
}
