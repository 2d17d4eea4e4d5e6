/* SPDX-License-Identifier: ISC */
#include <openssl/ssl.h>
#include <openssl/ssl23.h>
