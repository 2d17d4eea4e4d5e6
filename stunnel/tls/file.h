/* SPDX-License-Identifier: ISC */
#ifndef TLS_FILE_H
#define TLS_FILE_H

#include "tls/facts.h"

/*
 * Files of certificates and private keys: PEM with whatever else stands in it, DER or PKCS#12,
 * which one is told by the content. A pass phrase is got as tls_secret.h says.
 */
struct tls_file;

struct stack_st_X509;
struct evp_pkey_st;

/* Reads a file into memory; path must outlive the result. NULL, with the reason in why. */
struct tls_file *tls_file_open(const char *path, char why[static TLS_WHY_MAX]);

/* Likewise what a URI stands for, as tls/store.h reads it, where there is no file of that name. */
struct tls_file *tls_file_open_uri(const char *path_or_uri, char why[static TLS_WHY_MAX]);

void tls_file_close(struct tls_file *file);

/*
 * The certificates in it, at least one, and the first private key. Both belong to the file. NULL,
 * with what the file holds instead in why: a part of a sentence whose subject is the file.
 */
struct stack_st_X509 *tls_file_certs(struct tls_file *file, char why[static TLS_WHY_MAX]);
struct evp_pkey_st *tls_file_key(struct tls_file *file, char why[static TLS_WHY_MAX]);

/* The first DH parameters in PEM, which the caller frees, or NULL. */
struct evp_pkey_st *tls_file_dh_parameters(struct tls_file *file);

/* All of it, without a byte order mark, as a text that the caller may change. */
char *tls_file_text(struct tls_file *file);

struct stack_st_X509_NAME;

/*
 * Of a folder of trusted certificates: adds their subjects to a list (NULL: to none), each of them
 * once. How many files have names as openssl-rehash(1) makes them, by which OpenSSL finds a
 * certificate, whether it can be read or not; -1, with errno, if there is no such folder.
 */
int tls_file_subjects(const char *folder, struct stack_st_X509_NAME *subjects);

/* What a file is to hold. */
enum tls_file_holds {
	TLS_FILE_CERT = 0,
	TLS_FILE_KEY,
	TLS_FILE_CRL,
	TLS_FILE_OTHER,
};

/* Why OpenSSL, which reads PEM, did not find what is wanted in the file; as tls_file_certs(). */
void tls_file_explain(const char *path, enum tls_file_holds wanted, char why[static TLS_WHY_MAX]);

#endif
