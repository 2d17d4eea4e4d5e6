/* SPDX-License-Identifier: ISC */
static int is_listed(X509_REVOKED *entry, ASN1_INTEGER *number)
{
	return ASN1_INTEGER_cmp(entry->serialNumber, number) == 0;
}
