/* SPDX-License-Identifier: ISC */
static int ask(OCSP_REQUEST *request, OCSP_CERTID *leaf)
{
	int sent = OCSP_request_add0_id(request, leaf) && send_off(request);

	OCSP_CERTID_free(leaf);
	return sent;
}
