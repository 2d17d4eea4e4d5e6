/* SPDX-License-Identifier: ISC */
static int has(X509_STORE_CTX *context, X509_NAME *name)
{
	X509_OBJECT found;

	if (X509_STORE_get_by_subject(context, X509_LU_CRL, name, &found) != 1)
		return 0;
	use(found.data.crl);
	X509_OBJECT_free_contents(&found);
	return 1;
}
