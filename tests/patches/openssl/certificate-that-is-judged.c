/* SPDX-License-Identifier: ISC */
static int judge(X509_STORE_CTX *callback_ctx)
{
	if (callback_ctx->error_depth > 0)
		return callback_ctx->error == X509_V_OK;
	return is_known(callback_ctx->current_cert);
}
