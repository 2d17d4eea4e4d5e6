// SPDX-License-Identifier: ISC

import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;

class Tomcat {
    public static void main(String[] args) throws Exception {
        org.apache.catalina.startup.Tomcat server = new org.apache.catalina.startup.Tomcat();
        server.setBaseDir(args[1]);
        Connector connector = new Connector("HTTP/1.1");
        connector.setPort(Integer.parseInt(args[0]));
        connector.setProperty("address", "127.0.0.1");
        connector.setProperty("maxKeepAliveRequests", "-1");
        server.setConnector(connector);
        Context context = server.addContext("", args[1]);
        org.apache.catalina.startup.Tomcat.addServlet(context, "report", new Servlet());
        context.addServletMappingDecoded("/*", "report");
        server.start();
        server.getServer().await();
    }
}
