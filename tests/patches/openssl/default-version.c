/* SPDX-License-Identifier: ISC */
#define DEFAULT_SSLVER_CLIENT "one"

static void preset(void)
{
	if (is_client)
		new_service_options.client_method = (SSL_METHOD *)TLSv1_client_method();
}
