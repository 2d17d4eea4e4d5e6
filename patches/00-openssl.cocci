// SPDX-License-Identifier: ISC
// title: Port to OpenSSL 1.1.1 and later
//
// A tree that was written for OpenSSL 1.0: functions where members of opaque objects were used, objects
// of its own on the stack, and what became of names that are gone.
//
// gone: is what OpenSSL has no more, as a regular expression. A tree that has one of these in code which
// is compiled needs this patch; afterwards none may be left in any file.
// stale: compiles, but does not do any more what it did: none may be left either.

// hook: port include
// file: src/common.h
// makes: 1 #include "openssl_port.h"
// wants: #include <openssl/opensslconf.h>
@@
@@
+#include "openssl_port.h"
 #include <openssl/opensslconf.h>

// hook: context of a connection
// file: src/*.c
// makes: 0+ SSL_get_SSL_CTX(
// wants: ssl->ctx
// gone: \bssl->ctx\b
@@
symbol ssl;
@@
- ssl->ctx
+ SSL_get_SSL_CTX(ssl)

// hook: session identifier
// file: src/*.c
// makes: 0+ openssl_port_session_id
// wants: session_id and session_id_length of a session
// gone: ->session_id(_length)?\b
@@
expression session;
@@
- session->session_id
+ openssl_port_session_id(session)

@@
expression session;
@@
- session->session_id_length
+ openssl_port_session_id_length(session)

// hook: session callback
// file: src/ctx.c
// makes: 0+ const unsigned char *
// wants: sess_get_cb(), declared and defined with a key that is not const, and cache_get() for it
// gone: \bsess_get_cb\(SSL \*\w*,\s*unsigned char\b
// stale: \bcache_get\(SSL \*\w*,\s*unsigned char\b
@@
typedef SSL;
type session;
@@
 session sess_get_cb(SSL *,
- unsigned char *,
+ const unsigned char *,
  int, int *);

@@
typedef SSL;
identifier connection, key, length, copy;
@@
 sess_get_cb(SSL *connection,
- unsigned char *key,
+ const unsigned char *key,
  int length, int *copy)
 { ... }

@@
typedef SSL;
type session;
@@
 session cache_get(SSL *,
- unsigned char *,
+ const unsigned char *,
  int);

@@
typedef SSL;
identifier connection, key, length;
@@
 cache_get(SSL *connection,
- unsigned char *key,
+ const unsigned char *key,
  int length)
 { ... }

// hook: DH parameters
// file: src/*.c
// makes: 0+ DH_set0_pqg(
// wants: p and g of a DH, assigned and tested
// gone: \bdh->[pg]\b
@@
expression dh, prime, generator;
statement failed;
@@
- dh->p = prime;
- dh->g = generator;
(
- if(!dh->p || !dh->g)
+ if(!DH_set0_pqg(dh, prime, NULL,
+         generator))
 failed
|
- if((dh->p == NULL) ||
-         (dh->g == NULL))
+ if(!DH_set0_pqg(dh, prime, NULL,
+         generator))
 failed
)

// hook: object of a store
// file: src/*.c
// makes: 0+ openssl_port_
// wants: an X509_OBJECT on the stack, X509_STORE_get_by_subject() and X509_OBJECT_free_contents()
// gone: \bX509_OBJECT \w+;|\bX509_OBJECT_free_contents\(
// stale: \bX509_STORE_get_by_subject\(
@@
identifier object;
@@
- X509_OBJECT object;
+ struct openssl_port_object object;

@@
expression context, type, subject, object;
@@
- X509_STORE_get_by_subject(context, type, subject, object)
+ openssl_port_get_by_subject(context, type, subject, object)

@@
expression object;
@@
- X509_OBJECT_free_contents(object)
+ openssl_port_free_object(object)

// hook: context of a store
// file: src/*.c
// makes: 0+ openssl_port_store_context(
// wants: an X509_STORE_CTX on the stack of crl_check(), which refuses where there is no memory for it
// gone: \bX509_STORE_CTX \w+;|\bX509_STORE_CTX_(init|cleanup)\(&
@stack@
identifier context;
@@
- X509_STORE_CTX context;
+ X509_STORE_CTX *context;

@@
identifier stack.context, check = {crl_check};
expression store;
@@
 check(...)
 {
     <...
-    X509_STORE_CTX_init(&context, store, NULL, NULL);
+    context=openssl_port_store_context(store);
+    if(!context)
+        return 0;
     ...>
 }

@@
identifier stack.context;
@@
- X509_STORE_CTX_cleanup(&context)
+ X509_STORE_CTX_free(context)

@@
identifier stack.context;
@@
- &context
+ context

// hook: revoked certificate
// file: src/*.c
// makes: 0+ X509_REVOKED_get0_serialNumber(
// wants: serialNumber of an X509_REVOKED
// gone: ->serialNumber\b
@@
expression revoked;
@@
- revoked->serialNumber
+ X509_REVOKED_get0_serialNumber(revoked)

// hook: certificate that is asked for
// file: src/verify.c
// makes: 0+ OCSP_CERTID_dup(
// wants: OCSP_request_add0_id() of what is freed afterwards, which crashed with any OpenSSL
// releases: 5.15 to 5.21
@freed@
expression asked;
@@
 OCSP_CERTID_free(asked)

@depends on freed@
expression request;
identifier asked;
@@
- OCSP_request_add0_id(request, asked)
+ OCSP_request_add0_id(request, OCSP_CERTID_dup(asked))

// hook: cache of a store
// file: src/*.c
// makes: 0 openssl_port
// wants: cache = 0 of an X509_STORE: OpenSSL looks for revocation lists anew each time
// gone: store->cache\b
@@
expression store;
@@
- store->cache = 0;

// hook: locks for OpenSSL
// file: src/sthreads.c
// makes: 0 openssl_port
// wants: locks for OpenSSL, and the functions that it called for them
// spatch: --macro-file-builtins @stock.macros
// gone: \bCRYPTO_NUM_LOCKS\b
// stale: \bCRYPTO_(num_locks\(|set_\w+_callback\(|THREADID_set_callback\()
@setters@
identifier setter =~ "^CRYPTO_(set_(id|locking|dynlock_[a-z]+)|THREADID_set)_callback$";
identifier callback;
@@
- setter(callback);

@@
identifier setters.callback !~ "^stunnel_";
@@
- callback(...) { ... }

@@
type lock;
identifier locks;
@@
- static lock locks[CRYPTO_NUM_LOCKS];

@table@
identifier locks, allocate = {str_alloc, str_alloc_detached};
@@
- locks=allocate(<+...CRYPTO_num_locks()...+>);

@@
identifier table.locks;
@@
- str_detach(locks);

@@
identifier table.locks;
type lock;
@@
- static lock *locks;

@@
identifier n;
statement each;
@@
(
- for(n=0; n<CRYPTO_NUM_LOCKS; n++)
-     each
|
- for(n=0; n<CRYPTO_num_locks(); n++)
-     each
)

// hook: locks of stunnel
// file: src/*.[ch]
// makes: 0+ CRYPTO_RWLOCK
// wants: numbers of dynamic locks, in stunnel_locks
// gone: \bint stunnel_locks\[|=\s*CRYPTO_get_new_dynlockid\(
@@
typedef CRYPTO_RWLOCK;
symbol stunnel_locks;
expression many;
@@
(
- extern int stunnel_locks[many];
+ extern CRYPTO_RWLOCK *stunnel_locks[many];
|
- int stunnel_locks[many];
+ CRYPTO_RWLOCK *stunnel_locks[many];
)

@@
@@
- CRYPTO_get_new_dynlockid()
+ CRYPTO_THREAD_lock_new()

// hook: memory of OpenSSL
// file: src/*.c
// makes: 0 openssl_port
// wants: CRYPTO_set_mem_ex_functions(): OpenSSL clears what is secret in its memory itself
// spatch: --macro-file-builtins @stock.macros
// gone: \bCRYPTO_set_mem_ex_functions\(
@setter@
expression allocate, again;
identifier release;
@@
- CRYPTO_set_mem_ex_functions(allocate, again, release);

@@
identifier setter.release;
type nothing;
@@
- nothing release(void *);

@@
identifier setter.release;
@@
- release(...) { ... }

// hook: header of SSL 2 and 3
// file: src/common.h
// makes: 0 openssl_port
// wants: #include <openssl/ssl23.h>
// gone: <openssl/ssl23\.h>
@@
@@
- #include <openssl/ssl23.h>

// hook: certificate that is judged
// file: src/verify.c
// makes: 0+ X509_STORE_CTX_get_
// wants: current_cert, error_depth and error of an X509_STORE_CTX
// gone: \bcallback_ctx->\w+
@@
symbol callback_ctx;
@@
(
- callback_ctx->current_cert
+ X509_STORE_CTX_get_current_cert(callback_ctx)
|
- callback_ctx->error_depth
+ X509_STORE_CTX_get_error_depth(callback_ctx)
|
- callback_ctx->error
+ X509_STORE_CTX_get_error(callback_ctx)
)

// hook: method of compression
// file: src/ssl.c
// makes: 0+ OPENSSL_PORT_COMP_TYPE
// wants: type of a COMP_METHOD
// gone: \bcm->type\b
@@
symbol cm;
@@
- cm->type
+ OPENSSL_PORT_COMP_TYPE

// hook: unknown option
// file: src/options.c
// makes: 2+ OPENSSL_PORT_
// wants: parse_ssl_option(), which returns 0 for a name that it does not know, and where that is asked for
// stale: =\s*parse_ssl_option\(\w+(?:\+1)?\);\s*if\s*\(!\w+\)
@@
type number;
@@
 number parse_ssl_option(...)
 {
     <...
-    return 0;
+    return (number)OPENSSL_PORT_NO_OPTION;
     ...>
 }

@@
identifier option;
expression name;
statement refusal;
@@
 option = parse_ssl_option(name);
- if(!option)
+ if(OPENSSL_PORT_IS_NO_OPTION(option))
     refusal

@@
type number;
identifier option;
expression name;
statement refusal;
@@
 number option = parse_ssl_option(name);
- if(!option)
+ if(OPENSSL_PORT_IS_NO_OPTION(option))
     refusal

// hook: default version
// file: src/options.c
// makes: 0+ SSLv23_client_method(
// wants: TLSv1_client_method() as what a client has by default: it speaks that version alone
// stale: (\bnew_service_options\.|_CLIENT ""\s*section->)client_method\s*=\s*\(SSL_METHOD \*\)\s*TLSv1_client_method\b
@@
typedef SSL_METHOD;
identifier presets;
@@
 presets.client_method =
-    (SSL_METHOD *)TLSv1_client_method()
+    (SSL_METHOD *)SSLv23_client_method()

// In 4.46 to 4.52 the preset stands before that of an OpenSSL without TLS.
@@
typedef SSL_METHOD;
expression section;
@@
 section->client_method =
-    (SSL_METHOD *)TLSv1_client_method();
+    (SSL_METHOD *)SSLv23_client_method();
 section->client_method =
     (SSL_METHOD *)SSLv3_client_method();

@@
expression old;
@@
- #define DEFAULT_SSLVER_CLIENT old
+ #define DEFAULT_SSLVER_CLIENT "all"

// hook: type of options
// file: src/prototypes.h
// makes: 0+ unsigned long
// wants: long ssl_options of struct service_options_struct: of 32 bits, the highest would become 32 more
// stale: (?<!unsigned )\blong ssl_options\w*;
@@
@@
 struct service_options_struct {
     ...
-    long ssl_options;
+    unsigned long ssl_options;
     ...
 };

@@
@@
 struct service_options_struct {
     ...
-    long ssl_options_set;
+    unsigned long ssl_options_set;
     ...
 };

@@
@@
 struct service_options_struct {
     ...
-    long ssl_options_clear;
+    unsigned long ssl_options_clear;
     ...
 };

// hook: sign of options
// file: src/ctx.c
// makes: 0+ , (unsigned long)
// wants: options of a section where they are set: 5.05 to 5.08 declare both at once, as no rule can name
// stale: \bSSL_CTX_(set|clear)_options\([^,]*,\s*\w+->ssl_options_\w+\)
@@
expression context, section;
@@
(
- SSL_CTX_set_options(context, section->ssl_options_set)
+ SSL_CTX_set_options(context, (unsigned long)section->ssl_options_set)
|
- SSL_CTX_clear_options(context, section->ssl_options_clear)
+ SSL_CTX_clear_options(context, (unsigned long)section->ssl_options_clear)
)

// hook: default curve
// file: src/options.c
// makes: 1+ OPENSSL_PORT_CURVES
// wants: DEFAULT_CURVE, P-256 alone, and where it is shown: without `curve` OpenSSL has its own groups
// stale: =\s*DEFAULT_CURVE\b|\(DEFAULT_CURVE\)
@@
symbol DEFAULT_CURVE;
expression section;
@@
- section->curve=DEFAULT_CURVE
+ section->curve=NID_undef

@@
symbol DEFAULT_CURVE;
@@
- OBJ_nid2ln(DEFAULT_CURVE)
+ OPENSSL_PORT_CURVES

// hook: no curve
// file: src/ctx.c
// makes: 1 NID_undef
// wants: EC_KEY_new_by_curve_name() of the section's curve
@@
expression section;
identifier key;
@@
+if(section->curve==NID_undef)
+    return 0;
 key=EC_KEY_new_by_curve_name(section->curve);

// hook: weak DH parameters
// file: src/ctx.c
// makes: 1+ openssl_port_set_tmp_dh(
// wants: SSL_CTX_set_tmp_dh(), whose result is not asked for
@@
expression context, dh;
@@
- SSL_CTX_set_tmp_dh(context, dh);
+ openssl_port_set_tmp_dh(context, dh);

// hook: usable version
// file: src/ctx.c
// makes: 1 openssl_port_refuses(
// wants: the end of context_init()
@@
typedef SERVICE_OPTIONS;
identifier section;
@@
 context_init(SERVICE_OPTIONS *section)
 {
     <...
-    return 0;
+    return openssl_port_refuses(section->ctx);
     ...>
 }
