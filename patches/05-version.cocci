// SPDX-License-Identifier: ISC
// title: stunnel -version tells of forwarding
//
// What a bug report should show.

// hook: version include
// file: src/stunnel.c
// makes: 1 #include "forward.h"
// wants: #include "prototypes.h"
@@
@@
 #include "prototypes.h"
+#include "forward.h"

// hook: version
// file: src/stunnel.c
// makes: 1 forward_info(
// wants: the line of features in stunnel_info()
@@
identifier severity;
expression line;
@@
 stunnel_info(int severity)
 {
     ...
     s_log(severity, "%s", line);
+    forward_info(severity);
     ...
 }
