// SPDX-License-Identifier: ISC
// title: PROXY headers of version 2, with TLVs
//
// protocol = proxy sends stunnel's own line, unless the section has a proxyVersion.

// hook: protocol include
// file: src/protocol.c
// makes: 1 #include "forward.h"
// wants: #include "prototypes.h"
@@
@@
 #include "prototypes.h"
+#include "forward.h"

// hook: proxy
// file: src/protocol.c
// makes: 1 forward_proxy(
// wants: the call of proxy_server() in protocol()
@@
expression link, section, moment;
@@
- proxy_server(link, section, moment)
+ (forward_has_proxy(section) ? forward_proxy(link, section, moment) : proxy_server(link, section, moment))
