/* SPDX-License-Identifier: ISC */

#include "report.h"

#include <httplib.h>

static void tell(const httplib::Request &request, httplib::Response &response, long content)
{
	auto *seen = report_new();

	for (const auto &field : request.headers)
		report_field(seen, field.first.c_str(), field.second.c_str());
	report_tell(seen, request.method.c_str(), request.path.c_str(), content);
	response.set_content("ok", "text/plain");
}

static void without_content(const httplib::Request &request, httplib::Response &response)
{
	tell(request, response, -1);
}

static void with_content(const httplib::Request &request, httplib::Response &response)
{
	tell(request, response, (long)request.body.size());
}

int main(int argc, char **argv)
{
	httplib::Server server;

	if (argc < 2)
		return 2;
	server.set_keep_alive_max_count(1000000);
	server.Get(".*", without_content);
	server.Options(".*", without_content);
	server.Delete(".*", without_content);
	server.Post(".*", with_content);
	server.Put(".*", with_content);
	server.Patch(".*", with_content);
	return !server.listen("127.0.0.1", std::stoi(argv[1]));
}
