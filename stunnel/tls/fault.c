/* SPDX-License-Identifier: ISC */
#include "tls/fault.h"

#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tls/facts.h"

void tls_fault_tell(const struct tls_fault_to *to, enum tls_trouble trouble, const char *option,
		    const char *format, ...)
{
	char why[TLS_WHY_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, sizeof why, format, ap);
	va_end(ap);
	ERR_clear_error();
	to->told(to->arg, trouble, option, why);
}

bool tls_fault_refuse(const struct tls_fault_to *to, const char *option, const char *what,
		      const char *about)
{
	unsigned long first = ERR_peek_error();
	const char *reason = ERR_SYSTEM_ERROR(first)
				     ? strerror(ERR_GET_REASON(first))
				     : ERR_reason_error_string(ERR_peek_last_error());

	tls_fault_tell(to, TLS_TROUBLE_ERROR, option, "%s%s%.200s%s%s", what, *about ? ": " : "",
		       about, reason ? ": " : "", reason ? reason : "");
	return false;
}

bool tls_fault_refuse_file(const struct tls_fault_to *to, const char *option, const char *what,
			   const char *path, const char *reason)
{
	tls_fault_tell(to, TLS_TROUBLE_ERROR, option, "%s: %.200s: %.250s", what, path, reason);
	return false;
}
