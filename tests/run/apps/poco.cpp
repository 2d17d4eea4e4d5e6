/* SPDX-License-Identifier: ISC */

#include "report.h"

#include <Poco/Net/HTTPRequestHandler.h>
#include <Poco/Net/HTTPRequestHandlerFactory.h>
#include <Poco/Net/HTTPServer.h>
#include <Poco/Net/HTTPServerRequest.h>
#include <Poco/Net/HTTPServerResponse.h>
#include <Poco/ThreadPool.h>
#include <string>

namespace net = Poco::Net;

struct Answer : net::HTTPRequestHandler {
	void handleRequest(net::HTTPServerRequest &request,
			   net::HTTPServerResponse &response) override
	{
		auto *seen = report_new();
		const char *method = request.getMethod().c_str();
		char data[65536];
		long content = -1;

		for (const auto &field : request)
			report_field(seen, field.first.c_str(), field.second.c_str());
		if (report_reads(method))
			for (content = 0; request.stream();) {
				request.stream().read(data, sizeof data);
				content += request.stream().gcount();
			}
		response.setStatus(std::to_string(report_status(method)));
		report_tell(seen, method, request.getURI().c_str(), content);
		response.sendBuffer("ok", 2);
	}
};

struct Factory : net::HTTPRequestHandlerFactory {
	net::HTTPRequestHandler *createRequestHandler(const net::HTTPServerRequest &) override
	{
		return new Answer;
	}
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	auto *params = new net::HTTPServerParams;
	params->setKeepAlive(true);
	params->setMaxKeepAliveRequests(0);
	params->setMaxThreads(64);
	params->setMaxQueued(256);
	Poco::ThreadPool pool(2, 64);
	net::ServerSocket socket(Poco::Net::SocketAddress("127.0.0.1", std::stoi(argv[1])));
	net::HTTPServer server(new Factory, pool, socket, params);
	server.start();
	for (;;)
		pause();
}
