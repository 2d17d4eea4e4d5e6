// SPDX-License-Identifier: ISC

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import SERVLET.http.HttpServlet;
import SERVLET.http.HttpServletRequest;
import SERVLET.http.HttpServletResponse;

/** The servlet of Jetty and Tomcat, whose releases name its package otherwise. */
class Servlet extends HttpServlet {
    @Override
    public void service(HttpServletRequest request, HttpServletResponse response)
            throws IOException {
        List<Map.Entry<String, String>> fields = new ArrayList<>();
        for (String name : Collections.list(request.getHeaderNames()))
            for (String value : Collections.list(request.getHeaders(name)))
                fields.add(Map.entry(name, value));
        long content = -1;
        try {
            if (Report.reads(request.getMethod()))
                content = request.getInputStream().readAllBytes().length;
        } finally {
            Report.tell(fields, request.getMethod() + " " + request.getRequestURI(), content);
        }
        response.setStatus(Report.status(request.getMethod()));
        response.setContentLength(2);
        response.getOutputStream().write(Report.OK);
    }
}
