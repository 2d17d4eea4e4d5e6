/* SPDX-License-Identifier: ISC */
/* A protocol has a number, and is over when TLS is accepted. */
static void serve(CLI *one)
{
	begin_local(one);
	if (!one->opt->option.client && one->opt->protocol < 0
#ifndef WITHOUT_NAMES
	    && !one->opt->servername_list_head
#endif
	) {
		begin_tls(one);
		begin_remote(one);
	} else {
		begin_remote(one);
		negotiate(one);
		begin_tls(one);
	}
	forward_begin(one);
	transfer(one);
}
