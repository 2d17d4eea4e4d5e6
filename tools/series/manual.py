# SPDX-License-Identifier: ISC
"""The manual, in the three forms that upstream ships."""

import re
import tempfile

from .tree import Refusal, run


def rendered_man(pod):
    text = run("pod2man", "-u", "-n", "stunnel", "-s", "8", "-r", "0", "-c", "0", "-d", "0", pod)
    return text[text.index(".SH ") :]


def rendered_html(pod, folder):
    text = run("pod2html", "--noindex", f"--infile={pod}", cwd=folder)
    body = text[text.index("<h1 ") : text.index("</body>")]
    return body.strip() + "\n\n"


class Manual:
    """Our section stands before RETURN VALUE, behind the options."""

    HOOK = "manual"
    POD, MAN, HTML = "doc/stunnel.pod.in", "doc/stunnel.8.in", "doc/stunnel.html.in"

    def __init__(self, tree):
        self.tree = tree

    def add(self, pod):
        self._insert(self.POD, r"^=head1 RETURN VALUE$", pod.read_text())
        if self.tree.path(self.MAN).is_file():
            self._insert(self.MAN, r'^\.SH "?RETURN VALUE"?$', rendered_man(pod))
        if self.tree.path(self.HTML).is_file():
            with tempfile.TemporaryDirectory() as folder:
                html = rendered_html(pod, folder)
            self._insert(self.HTML, r'^.*<h1 id="RETURN-VALUE">', html)

    def _insert(self, name, anchor, text):
        old = self.tree.read(name, self.HOOK)
        found = list(re.finditer(anchor, old, re.M))
        if len(found) != 1:
            raise Refusal(
                f"hook '{self.HOOK}': the heading RETURN VALUE was found {len(found)} times in {name}"
            )
        self.tree.write(name, old[: found[0].start()] + text + old[found[0].start() :])
