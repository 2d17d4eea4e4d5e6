/* SPDX-License-Identifier: ISC */
#include <stdio.h>
#include <openssl/opensslconf.h>
#include <openssl/ssl.h>
