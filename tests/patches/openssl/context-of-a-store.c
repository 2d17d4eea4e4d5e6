/* SPDX-License-Identifier: ISC */
static int crl_check(struct client *c)
{
	X509_STORE_CTX lookup;
	int found;

	X509_STORE_CTX_init(&lookup, c->store, NULL, NULL);
	found = look_for(&lookup, c->name);
	X509_STORE_CTX_cleanup(&lookup);
	return found;
}
