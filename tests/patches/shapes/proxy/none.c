/* SPDX-License-Identifier: ISC */
/* The backend is always connected after TLS: nothing says whether there is a protocol. */
static void serve(CLI *one)
{
	begin_local(one);
	begin_tls(one);
	begin_remote(one);
	negotiate(one);
	forward_begin(one);
	transfer(one);
}
