/* SPDX-License-Identifier: ISC */
#ifndef TLS_KEY_H
#define TLS_KEY_H

struct bio_st;
struct evp_pkey_st;

/*
 * The first private key of a PEM text, if it is one of a common form and not encrypted: what
 * PEM_read_bio_PrivateKey() finds, in a fraction of its time. NULL: that has to be asked. Of a
 * process with one thread. The caller frees the key.
 */
struct evp_pkey_st *tls_key_plain(struct bio_st *pem);

/* Behind changes of providers and of what is asked of them. */
void tls_key_forget(void);

#endif
